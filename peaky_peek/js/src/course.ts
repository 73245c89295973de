/** The events of a session in order, and where each command of a debugger leads; the same as `analysis/stepping.py`. */
import type { Numbers, Texts } from "./packed";
import { EVENT_TYPES } from "./vocabulary";
import { type Columns, FAILED, SUSPECT } from "./wire";

/** What one can go to the next of. */
export const KINDS = ["failure", "suspect", "decision", "checkpoint", "breakpoint"] as const;
export type Kind = (typeof KINDS)[number];

/** Positions are indexes of events. -1 is nowhere: before the first for what goes forward, after the last going back. */
export class Course {
  /** Events. */
  readonly length: number;
  /** The row of the step that each event opens or closes. */
  readonly row: Int32Array;
  /** By row: where a step begins, and where it ends or -1. */
  readonly opens: Int32Array;
  readonly closes: Int32Array;
  /** What each event cost and all before it, in US dollars. */
  readonly cost: Float64Array;
  readonly at: Record<Kind, ArrayLike<number>>;
  readonly #around: Int32Array;
  /** The events right inside each step, one step after the other; those inside none come first. */
  readonly #inside: Int32Array;
  readonly #starts: Int32Array;
  readonly #reach: Int32Array;

  /** Without what the kernel sends, as in a saved notebook, every row is an event. */
  constructor(
    readonly columns: Columns,
    ends?: Numbers,
    readonly time?: Numbers,
    readonly turns?: { from: Numbers; agent: Numbers; names: Texts },
  ) {
    const { rows, parent, kind, flags } = columns;
    const n = ends?.length ?? rows;
    this.length = n;
    this.row = new Int32Array(n);
    this.opens = new Int32Array(rows).fill(-1);
    this.closes = new Int32Array(rows).fill(-1);
    for (let at = 0, end = 0; at < n; at++) {
      end = ends ? end + ends[at] : 2 * at;
      this.row[at] = end >> 1;
      (end & 1 ? this.closes : this.opens)[end >> 1] = at;
    }
    this.#around = this.row.map((row) => parent[row]);
    this.#starts = new Int32Array(rows + 2);
    for (const around of this.#around) this.#starts[around + 2]++;
    for (let i = 1; i < rows + 2; i++) this.#starts[i] += this.#starts[i - 1];
    const next = this.#starts.slice();
    this.#inside = new Int32Array(n);
    this.#around.forEach((around, at) => {
      this.#inside[next[around + 1]++] = at;
    });
    this.#reach = this.closes.map((close, row) => {
      const stop = this.#starts[row + 2];
      return stop > this.#starts[row + 1] ? Math.max(close, this.#inside[stop - 1]) : close;
    });
    this.cost = new Float64Array(n);
    for (let row = 0; row < rows; row++) {
      if (columns.cost[row] >= 0) this.cost[this.seen(row)] += columns.cost[row];
    }
    for (let at = 1; at < n; at++) this.cost[at] += this.cost[at - 1];
    const where = (is: (row: number) => boolean) => {
      const found = [];
      for (let row = 0; row < rows; row++) if (is(row)) found.push(this.seen(row));
      return Int32Array.from(found).sort();
    };
    const typed = (type: string) => where((row) => EVENT_TYPES[kind[row]] === type);
    this.at = {
      failure: where((row) => (flags[row] & FAILED) > 0),
      suspect: where((row) => (flags[row] & SUSPECT) > 0),
      decision: typed("decision"),
      checkpoint: typed("checkpoint"),
      breakpoint: [],
    };
  }

  /** Where it is known what came of a step: where it closes. */
  seen(row: number): number {
    return this.closes[row] >= 0 ? this.closes[row] : this.opens[row];
  }

  isBegin(at: number): boolean {
    return this.opens[this.row[at]] === at;
  }

  step(at: number): number {
    return at + 1 < this.length ? at + 1 : -1;
  }

  back(at: number): number {
    return (at < 0 ? this.length : at) - 1;
  }

  into(at: number): number {
    const row = this.row[at];
    if (at >= 0 && this.opens[row] === at) {
      const first = right(this.#inside, at, this.#starts[row + 1], this.#starts[row + 2]);
      if (first < this.#starts[row + 2]) return this.#inside[first];
    }
    return this.over(at);
  }

  over(at: number): number {
    if (at < 0) return this.step(at);
    const row = this.row[at];
    return this.opens[row] === at && at < this.closes[row] ? this.closes[row] : this.#after(at, this.#around[at]);
  }

  out(at: number): number {
    const around = at < 0 ? -1 : this.#around[at];
    if (around < 0) return -1;
    return this.closes[around] > at ? this.closes[around] : this.#after(at, this.columns.parent[around]);
  }

  backOver(at: number): number {
    if (at < 0) return this.back(at);
    const row = this.row[at];
    if (this.closes[row] === at && at > this.opens[row]) return this.opens[row];
    let around = this.#around[at];
    const start = this.#starts[around + 1];
    const before = right(this.#inside, at - 1, start, this.#starts[around + 2]) - 1;
    if (before >= start) return this.#inside[before];
    while (around >= 0 && this.opens[around] > at) around = this.columns.parent[around];
    return around >= 0 ? this.opens[around] : -1;
  }

  next(at: number, kind: Kind): number {
    return this.at[kind][right(this.at[kind], at)] ?? -1;
  }

  previous(at: number, kind: Kind): number {
    const found = this.at[kind];
    return found[(at < 0 ? found.length : right(found, at - 1)) - 1] ?? -1;
  }

  agent(at: number): string {
    const { from, agent, names } = this.turns ?? {};
    const code = from && agent ? agent[right(from, at) - 1] : -1;
    return names && code >= 0 ? names.at(code) : "";
  }

  #after(at: number, within: number): number {
    let around = within;
    while (around >= 0 && this.#reach[around] <= at) around = this.columns.parent[around];
    const stop = this.#starts[around + 2];
    const beside = right(this.#inside, at, this.#starts[around + 1], stop);
    const found = [beside < stop ? this.#inside[beside] : -1, around >= 0 ? this.closes[around] : -1];
    const later = found.filter((one) => one > at);
    return later.length > 0 ? Math.min(...later) : -1;
  }
}

/** The index of the first of sorted numbers that is larger. */
export function right(sorted: ArrayLike<number>, value: number, from = 0, to = sorted.length): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
