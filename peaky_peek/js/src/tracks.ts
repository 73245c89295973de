/** The tracks of a replay: one line for each kind of thing that happens, from left to right in the order of events. */
import type { Context } from "./canvas";
import type { Course } from "./course";
import { right } from "./course";
import { cost, count, duration } from "./format";
import { drawFailed, drawIcon, drawSuspect } from "./icons";
import type { Scale } from "./scale";
import { ellipsis, oneLine } from "./text";
import type { Theme } from "./theme";
import { type Family, familyOf } from "./vocabulary";
import { FAILED, SUSPECT } from "./wire";

export const RULER = 20;
const TRACK = 22;
const CURVE = 34;
const FOOT = 4;
/** Room for the names of the tracks. */
export const GUTTER = 92;
/** Marks closer than this stand for each other; when all are, they are strips. */
const ICON = 11;
const STRIP = 2;
const TICK = 100;

const NAMES = ["Agents", "Decisions", "Tools", "Model calls", "Failures", "Checkpoints", "Cost"];
const [AGENTS, DECISIONS, TOOLS, MODELS, FAILURES, CHECKPOINTS, COST] = NAMES.keys();
const TRACK_OF: Record<Family, number> = {
  session: -1,
  decision: DECISIONS,
  tool: TOOLS,
  llm: MODELS,
  checkpoint: CHECKPOINTS,
  risk: FAILURES,
};
const FAMILY_OF: (Family | null)[] = ["session", "decision", "tool", "llm", "risk", "checkpoint", null];

export class Tracks {
  readonly height: number;
  /** By track: its top edge, -1 when there is nothing to show in it. */
  readonly tops: number[];
  readonly #trackOf: Int8Array;
  readonly #heights: number[];

  constructor(readonly course: Course) {
    const { kind, rows, flags } = course.columns;
    this.#trackOf = new Int8Array(rows);
    const any = NAMES.map(() => false);
    for (let row = 0; row < rows; row++) {
      const track = TRACK_OF[familyOf(kind[row], false)];
      this.#trackOf[row] = track;
      if (track >= 0) any[track] = true;
      if (flags[row] & (FAILED | SUSPECT)) any[FAILURES] = true;
    }
    any[AGENTS] = (course.turns?.names.length ?? 0) > 0;
    any[COST] = course.length > 0 && course.cost[course.length - 1] > 0;
    if (!any.includes(true)) any[AGENTS] = true;
    this.#heights = any.map((some, track) => (some ? (track === COST ? CURVE : TRACK) : 0));
    let y = RULER;
    this.tops = this.#heights.map((height) => {
      y += height;
      return height > 0 ? y - height : -1;
    });
    this.height = y + FOOT;
  }

  /** Paints all but the head. */
  paint(context: Context, scale: Scale, theme: Theme, chosen: ReadonlySet<number>, mask: Uint8Array | null): void {
    const { course } = this;
    const end = scale.left + scale.width;
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    this.#paintNames(context, scale, theme);
    if (course.length === 0) return;
    context.save();
    context.beginPath();
    context.rect(scale.left, 0, scale.width + 6, this.height);
    context.clip();
    this.#paintRuler(context, scale, theme);
    this.#paintStubs(context, scale, theme);
    this.#paintChosen(context, scale, theme, chosen);
    this.#paintAgents(context, scale, theme);
    this.#paintMarks(context, scale, theme, mask);
    this.#paintCost(context, scale, theme, end);
    this.#paintBreakpoints(context, scale, theme);
    context.restore();
  }

  #middle(track: number): number {
    return this.tops[track] + this.#heights[track] / 2;
  }

  #paintNames(context: Context, scale: Scale, theme: Theme): void {
    const end = scale.left + scale.width + 6;
    context.fillStyle = theme.line;
    context.fillRect(0, RULER - 1, end, 1);
    NAMES.forEach((name, track) => {
      const top = this.tops[track];
      if (top < 0) return;
      if (top > RULER) {
        context.globalAlpha = 0.45;
        context.fillStyle = theme.line;
        context.fillRect(0, top - 0.5, end, 1);
        context.globalAlpha = 1;
      }
      const family = FAMILY_OF[track];
      const y = this.#middle(track);
      context.fillStyle = family ? theme.family[family] : theme.dim;
      if (family) drawIcon(context, family, 11, y, 4.2, false);
      context.fillStyle = track === FAILURES ? theme.family.risk : theme.dim;
      context.textAlign = "left";
      const measure = (text: string) => context.measureText(text).width;
      context.fillText(ellipsis(name, scale.left - 24, measure), 20, y);
    });
  }

  /** The time since the beginning, or the number of the event where no time is known. */
  #paintRuler(context: Context, scale: Scale, theme: Theme): void {
    const { time } = this.course;
    context.fillStyle = theme.dim;
    context.textAlign = "left";
    let last = "";
    for (let x = scale.left; x < scale.left + scale.width - 50; x += TICK) {
      const at = scale.position(x + 1);
      const label = time?.[at] !== undefined && time[at] >= 0 ? `+${duration(time[at])}` : `#${count(at + 1)}`;
      if (label === last) continue;
      last = label;
      context.fillText(label, x + 4, RULER / 2);
      context.globalAlpha = 0.7;
      context.fillRect(x, RULER - 6, 1, 5);
      context.globalAlpha = 1;
    }
  }

  #paintStubs(context: Context, scale: Scale, theme: Theme): void {
    const measure = (text: string) => context.measureText(text).width;
    context.textAlign = "center";
    for (const piece of scale.pieces) {
      if (!piece.folded) continue;
      const [from, to] = scale.edges(piece);
      if (to < scale.left || from > scale.left + scale.width) continue;
      context.fillStyle = theme.text;
      context.globalAlpha = 0.06;
      context.fillRect(from, RULER, Math.max(0.5, to - from - (to - from > 3 ? 1 : 0)), this.height - RULER - FOOT);
      context.globalAlpha = 1;
      if (to - from < 20) continue;
      const events = piece.stop - piece.start;
      const labels = [`… ${count(events, "event")}`, `… ${count(events)}`];
      const label = labels.find((one) => measure(one) < to - from - 4);
      context.fillStyle = theme.dim;
      const track = [TOOLS, MODELS, DECISIONS, AGENTS].find((one) => this.tops[one] >= 0) ?? AGENTS;
      if (label) context.fillText(label, (from + to) / 2, this.#middle(track));
    }
  }

  #paintChosen(context: Context, scale: Scale, theme: Theme, chosen: ReadonlySet<number>): void {
    const { opens } = this.course;
    context.fillStyle = theme.accent;
    context.globalAlpha = 0.13;
    for (const row of [...chosen].slice(0, 200)) {
      const [from, to] = [scale.x(opens[row]), scale.x(this.course.seen(row))];
      context.fillRect(from - 5, RULER, Math.max(10, to - from + 10), this.height - RULER - FOOT);
    }
    context.globalAlpha = 1;
  }

  #paintAgents(context: Context, scale: Scale, theme: Theme): void {
    const { turns, length } = this.course;
    if (!turns) return;
    const measure = (text: string) => context.measureText(text).width;
    const top = this.tops[AGENTS] + 4;
    const first = Math.max(0, right(turns.from, scale.position(scale.left)) - 1);
    const end = scale.left + scale.width;
    const half = scale.pixels / 2;
    context.textAlign = "left";
    let drawn = scale.left;
    for (let i = first; i < turns.from.length && drawn < end; i++) {
      const stop = turns.from[i + 1] ?? length;
      const from = Math.max(scale.left, scale.x(turns.from[i]) - half);
      const to = Math.min(end, scale.x(stop - 1) + half);
      const code = turns.agent[i];
      // A turn of less than a pixel is in the one before.
      if (code < 0 || to < drawn + 0.7) continue;
      context.fillStyle = theme.family.session;
      context.globalAlpha = code % 2 ? 0.34 : 0.18;
      context.fillRect(from, top, Math.max(0.7, to - from - 1), TRACK - 8);
      context.globalAlpha = 1;
      drawn = to;
      if (to - from < 24) continue;
      context.fillStyle = theme.text;
      context.fillText(ellipsis(oneLine(turns.names.at(code)), to - from - 9, measure), from + 4, top + TRACK / 2 - 4);
    }
  }

  #paintMarks(context: Context, scale: Scale, theme: Theme, mask: Uint8Array | null): void {
    const { course } = this;
    const { flags, importance } = course.columns;
    const dense = scale.pixels < 5;
    const bucket = dense ? STRIP : ICON;
    const buckets = Math.ceil(scale.width / bucket) + 2;
    const best = new Int32Array(buckets * NAMES.length).fill(-1);
    const rank = new Int16Array(best.length);
    const put = (track: number, at: number, x: number, weight: number) => {
      if (this.tops[track] < 0) return;
      const slot = track * buckets + 1 + Math.floor((x - scale.left) / bucket);
      if (weight < rank[slot]) return;
      best[slot] = at;
      rank[slot] = weight;
    };
    const [from, to] = [scale.position(scale.left), scale.position(scale.left + scale.width)];
    for (const piece of scale.pieces) {
      if (piece.stop <= from || piece.start > to) continue;
      const last = Math.min(piece.stop, to + 1);
      for (let at = Math.max(piece.start, from); at < last; at++) {
        const row = course.row[at];
        const marks = flags[row] & (FAILED | SUSPECT);
        const seen = course.seen(row) === at;
        if (piece.folded && !(marks && seen)) continue;
        const bad = marks & FAILED ? 2000 : marks ? 1000 : 0;
        const weight = 1 + importance[row] + (seen ? bad : 0) + (mask && !mask[row] ? 0 : 300);
        const x = scale.xIn(piece, at);
        if (bad && seen) put(FAILURES, at, x, weight);
        if (!piece.folded && this.#trackOf[row] >= 0) put(this.#trackOf[row], at, x, weight);
      }
    }
    for (let track = 0; track < COST; track++) {
      if (this.tops[track] < 0) continue;
      const marks = best.subarray(track * buckets, (track + 1) * buckets).filter((at) => at >= 0);
      if (dense) this.#strips(context, scale, theme, track, marks, mask);
      else this.#icons(context, scale, theme, track, marks, mask);
    }
  }

  #colour(theme: Theme, track: number, at: number): string {
    const row = this.course.row[at];
    const flags = this.course.columns.flags[row];
    const seen = this.course.seen(row) === at;
    if (flags & FAILED && seen) return theme.family.risk;
    if (flags & SUSPECT && track === FAILURES) return theme.suspect;
    return theme.family[FAMILY_OF[track] ?? "session"];
  }

  #strips(
    context: Context,
    scale: Scale,
    theme: Theme,
    track: number,
    marks: Int32Array,
    mask: Uint8Array | null,
  ): void {
    const { row, columns } = this.course;
    const bottom = this.tops[track] + TRACK - 3;
    for (const at of marks) {
      const x = scale.left + Math.floor((scale.x(at) - scale.left) / STRIP) * STRIP;
      const bad = track === FAILURES || (columns.flags[row[at]] & FAILED) > 0;
      const height = bad ? TRACK - 6 : 4 + (columns.importance[row[at]] / 255) * (TRACK - 10);
      context.globalAlpha = mask && !mask[row[at]] ? 0.2 : bad ? 1 : 0.6;
      context.fillStyle = this.#colour(theme, track, at);
      context.fillRect(x, bottom - height, STRIP, height);
    }
    context.globalAlpha = 1;
  }

  /** Each a shape that grows with importance, a line to where it ends, and as much of its name as there is room for. */
  #icons(
    context: Context,
    scale: Scale,
    theme: Theme,
    track: number,
    marks: Int32Array,
    mask: Uint8Array | null,
  ): void {
    const { course } = this;
    const { columns } = course;
    const measure = (text: string) => context.measureText(text).width;
    const y = this.#middle(track);
    context.textAlign = "left";
    let free = scale.left;
    marks.forEach((at, i) => {
      const row = course.row[at];
      const x = scale.x(at);
      const begins = course.opens[row] === at;
      const ends = course.closes[row] === at;
      const failed = (columns.flags[row] & FAILED) > 0;
      const radius = 3 + (columns.importance[row] / 255) * 2.4;
      const colour = this.#colour(theme, track, at);
      context.globalAlpha = mask && !mask[row] ? 0.25 : 1;
      context.fillStyle = context.strokeStyle = colour;
      if (track !== FAILURES && begins && course.closes[row] > at) {
        context.globalAlpha *= 0.45;
        context.fillRect(x, y - 1, scale.x(course.closes[row]) - x, 2);
        context.globalAlpha = mask && !mask[row] ? 0.25 : 1;
      }
      if (track === FAILURES) {
        if (failed) drawIcon(context, "risk", x, y, radius + 0.6, false);
        else drawSuspect(context, x, y, radius);
      } else if (ends && failed) drawFailed(context, x, y, 4.6);
      else if (ends) {
        context.beginPath();
        context.arc(x, y, 2.2, 0, 7);
        context.fill();
      } else drawIcon(context, familyOf(columns.kind[row], false), x, y, radius, (columns.flags[row] & 4) > 0);
      const room = (i + 1 < marks.length ? scale.x(marks[i + 1]) : scale.left + scale.width) - x - 14;
      if ((ends && track !== FAILURES) || room < 22 || x < free) return;
      const text = ellipsis(oneLine(columns.name(row), 60), room, measure);
      context.fillStyle = track === FAILURES ? colour : theme.text;
      // A name stands on the line of its step.
      if (track !== FAILURES && text) {
        context.fillStyle = theme.background;
        context.fillRect(x + 7, y - 6, measure(text) + 4, 12);
        context.fillStyle = theme.text;
      }
      context.fillText(text, x + 9, y);
      free = x + 9 + measure(text);
    });
    context.globalAlpha = 1;
  }

  #paintCost(context: Context, scale: Scale, theme: Theme, end: number): void {
    const sums = this.course.cost;
    const total = sums[sums.length - 1];
    if (this.tops[COST] < 0) return;
    const bottom = this.tops[COST] + CURVE - 3;
    const y = (at: number) => bottom - (sums[at] / total) * (CURVE - 8);
    context.beginPath();
    context.moveTo(scale.left, y(scale.position(scale.left)));
    for (let x = scale.left; x < end; x += 2) context.lineTo(x, y(scale.position(x)));
    context.lineTo(end, y(scale.position(end)));
    context.strokeStyle = theme.family.llm;
    context.lineWidth = 1.3;
    context.stroke();
    context.lineTo(end, bottom);
    context.lineTo(scale.left, bottom);
    context.fillStyle = theme.family.llm;
    context.globalAlpha = 0.1;
    context.fill();
    context.globalAlpha = 1;
    context.fillStyle = theme.dim;
    context.textAlign = "left";
    context.fillText(cost(total), scale.left + 4, this.tops[COST] + 9);
  }

  #paintBreakpoints(context: Context, scale: Scale, theme: Theme): void {
    const stops = this.course.at.breakpoint;
    let last = -9;
    context.fillStyle = theme.accent;
    for (let i = 0; i < stops.length; i++) {
      const x = scale.x(stops[i]);
      if (x < scale.left - 5 || x > scale.left + scale.width + 5 || x - last < 3) continue;
      last = x;
      context.globalAlpha = 0.35;
      context.fillRect(x - 0.5, RULER, 1, this.height - RULER - FOOT);
      context.globalAlpha = 1;
      context.beginPath();
      context.arc(x, RULER - 6, 3.5, 0, 7);
      context.fill();
    }
  }
}

/** The line that stands for the moment. */
export function paintHead(context: Context, x: number, height: number, theme: Theme): void {
  context.fillStyle = theme.accent;
  context.fillRect(x - 1, 6, 2, height - 6 - FOOT);
  context.beginPath();
  context.moveTo(x - 6, 0);
  context.lineTo(x + 6, 0);
  context.lineTo(x + 6, 6);
  context.lineTo(x, 12);
  context.lineTo(x - 6, 6);
  context.fill();
}
