/** The way between moments and pixels: zooming, panning, and pauses in which nothing happens made short. */
import { duration } from "./format";

export interface Pause {
  from: number;
  to: number;
}

/** Time with its pauses shortened to `short` each; without pauses, time as it is. */
export class Warp {
  /** Knots: moments, and where they come to lie. */
  private readonly moments = [0];
  private readonly places = [0];
  readonly total: number;

  constructor(
    end: number,
    readonly pauses: readonly Pause[] = [],
    short = 0,
  ) {
    let place = 0;
    let at = 0;
    for (const { from, to } of pauses) {
      place += from - at;
      this.knot(from, place);
      place += Math.min(short, to - from);
      this.knot(to, place);
      at = to;
    }
    this.total = place + end - at;
    this.knot(end, this.total);
  }

  to(moment: number): number {
    return between(moment, this.moments, this.places);
  }

  from(place: number): number {
    return between(place, this.places, this.moments);
  }

  private knot(moment: number, place: number): void {
    this.moments.push(moment);
    this.places.push(place);
  }
}

function between(value: number, from: number[], to: number[]): number {
  let low = 0;
  let high = from.length - 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (from[middle + 1] < value) low = middle + 1;
    else high = middle;
  }
  const size = from[low + 1] - from[low];
  if (size === 0) return to[low];
  return to[low] + ((value - from[low]) / size) * (to[low + 1] - to[low]);
}

const LEAST_MS = 0.01;

export class TimeScale {
  width = 1;
  /** What is in view, as places of the warp. */
  private first = 0;
  private size: number;

  constructor(private warp: Warp) {
    this.size = Math.max(LEAST_MS, warp.total);
  }

  get pauses(): readonly Pause[] {
    return this.warp.pauses;
  }

  x(moment: number): number {
    return this.toX(moment);
  }

  /** `x`, made ready for many moments. */
  get toX(): (moment: number) => number {
    const { first, width, size } = this;
    const factor = width / size;
    if (this.pauses.length > 0) return (moment) => (this.warp.to(moment) - first) * factor;
    return (moment) => (moment - first) * factor;
  }

  moment(x: number): number {
    return this.warp.from(this.first + (x / this.width) * this.size);
  }

  /** What is in view, as fractions of all. */
  get window(): { start: number; size: number } {
    const all = Math.max(LEAST_MS, this.warp.total);
    return { start: this.first / all, size: Math.min(1, this.size / all) };
  }

  get isWhole(): boolean {
    return this.window.size >= 1;
  }

  /** Keeps what is at `x` where it is. */
  zoom(factor: number, x: number): void {
    const place = this.first + (x / this.width) * this.size;
    const all = Math.max(LEAST_MS, this.warp.total);
    this.size = Math.min(all, Math.max(Math.min(all, LEAST_MS), this.size / factor));
    this.moveTo(place - (x / this.width) * this.size);
  }

  reset(): void {
    this.size = Math.max(LEAST_MS, this.warp.total);
    this.first = 0;
  }

  /** Returns whether anything moved, so that a wheel at the end is left to the page. */
  panBy(pixels: number): boolean {
    return this.moveTo(this.first + (pixels / this.width) * this.size);
  }

  centreOn(fraction: number): void {
    this.moveTo(fraction * this.warp.total - this.size / 2);
  }

  /** Brings a stretch of time into view, as little as needed. */
  reveal(from: number, to: number): void {
    const [start, stop] = [this.warp.to(from), this.warp.to(to)];
    const margin = this.size * 0.06;
    if (start >= this.first && stop <= this.first + this.size) return;
    if (stop - start > this.size || start < this.first) this.moveTo(start - margin);
    else if (start > this.first + this.size) this.moveTo(start - this.size / 3);
    else this.moveTo(Math.min(start - margin, stop - this.size + margin));
  }

  /** Shortens pauses, or no longer; what is in the middle stays there. */
  bend(warp: Warp): void {
    const middle = this.moment(this.width / 2);
    const share = this.window.size;
    this.warp = warp;
    this.size = Math.max(LEAST_MS, warp.total * share);
    this.moveTo(warp.to(middle) - this.size / 2);
  }

  /** Round moments in view, with their labels, far enough from each other. */
  ticks(room = 84): { x: number; label: string }[] {
    const found: { x: number; label: string }[] = [];
    const perPixel = this.size / this.width;
    const step = round(perPixel * room);
    let [from, until] = [this.moment(0), this.moment(this.width)];
    const parts: [number, number][] = [];
    for (const pause of this.pauses) {
      if (pause.to < from || pause.from > until) continue;
      parts.push([from, Math.min(until, pause.from)]);
      from = pause.to;
    }
    parts.push([from, until]);
    let last = -room;
    for (const [start, stop] of parts) {
      for (let tick = Math.ceil(start / step - 1e-9); tick * step <= stop; tick++) {
        const x = this.x(tick * step);
        if (x - last < room * 0.7) continue;
        found.push({ x, label: tick === 0 ? "0" : duration(tick * step) });
        last = x;
      }
    }
    return found;
  }

  private moveTo(first: number): boolean {
    const last = Math.max(0, this.warp.total - this.size);
    const clamped = Math.min(last, Math.max(0, first));
    const moved = Math.abs(clamped - this.first) > this.size * 1e-9;
    this.first = clamped;
    return moved;
  }
}

/** The next 1, 2 or 5 times a power of ten; from a minute on, what divides minutes and hours. */
function round(ms: number): number {
  for (const whole of [
    10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000,
  ]) {
    if (ms > 5_000 && ms <= whole) return whole;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(1e-6, ms)));
  return ([1, 2, 5, 10].find((digit) => digit * power >= ms) ?? 10) * power;
}
