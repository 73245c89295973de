/** Where each step lies on a timeline: when it began and ended, in whose lane, at which level of it. */
import type { Packed } from "./packed";
import type { Pause } from "./timescale";
import { EVENT_TYPES } from "./vocabulary";
import { type Columns, FAILED, RUNNING, SUSPECT } from "./wire";

export interface Lane {
  name: string;
  /** Rows of each level, in order of time; those of one level do not overlap, but for the last. */
  levels: number[][];
}

export interface Handoff {
  row: number;
  from: number;
  to: number;
}

export const FAILED_RANK = 3;
export const SUSPECT_RANK = 2;

const LEVELS = 6;
const SPAN = EVENT_TYPES.indexOf("agent_start");
const LONG_PAUSE = 0.05;

export class Swimlanes {
  readonly lanes: Lane[];
  readonly laneOf: Uint16Array;
  readonly level: Uint8Array;
  /** Milliseconds since the beginning. */
  readonly begin: Float64Array;
  readonly end: Float64Array;
  /** When all of its level that began no later are over; where none overlap, its own end. */
  readonly over: Float64Array;
  /** Rows in the order in which they began. */
  readonly inTime: Int32Array;
  /** The place of each row in that order. */
  readonly place: Int32Array;
  readonly handoffs: Handoff[] = [];
  readonly total: number;
  /** When each event happened, never before the one before it. */
  private readonly moments: Float64Array;
  private readonly rowOfEvent: ArrayLike<number>;

  constructor(
    readonly columns: Columns,
    packed: Packed | null,
  ) {
    const { rows } = columns;
    this.laneOf = packed ? Uint16Array.from(packed.columns.lane) : new Uint16Array(rows);
    this.begin = packed
      ? Float64Array.from(packed.columns.began)
      : Float64Array.from({ length: rows }, (_, row) => row);
    this.end = new Float64Array(rows);
    this.over = new Float64Array(rows);
    this.level = new Uint8Array(rows);
    this.lanes = packed
      ? Array.from({ length: packed.texts.lanes.length }, (_, lane) => ({
          name: packed.texts.lanes.at(lane),
          levels: [],
        }))
      : [{ name: "", levels: [] }];
    this.measure(packed !== null);
    this.total = this.end.reduce((last, end) => Math.max(last, end), 0) || 1;
    for (let row = 0; row < rows; row++) if (columns.flags[row] & RUNNING) this.end[row] = this.total;
    this.inTime = Int32Array.from({ length: rows }, (_, row) => row).sort(
      (a, b) => this.begin[a] - this.begin[b] || a - b,
    );
    this.place = new Int32Array(rows);
    this.inTime.forEach((row, place) => {
      this.place[row] = place;
    });
    this.stack();
    this.rowOfEvent = packed?.columns.order ?? this.inTime;
    this.moments = this.eventMoments();
    for (let i = 0; packed && i < packed.columns.handed.length; i++) {
      this.handoffs.push({ row: packed.columns.handed[i], from: packed.columns.from[i], to: packed.columns.to[i] });
    }
  }

  rank(row: number): number {
    const flags = this.columns.flags[row];
    return flags & FAILED ? FAILED_RANK : flags & SUSPECT ? SUSPECT_RANK : this.columns.importance[row] / 255;
  }

  isSpan(row: number): boolean {
    return this.columns.kind[row] === SPAN;
  }

  /** When an event happened, by its index in order. */
  momentOf(position: number): number {
    return this.moments[Math.max(0, Math.min(this.moments.length - 1, position))] ?? 0;
  }

  /** The last event that had happened by then. */
  positionAt(moment: number): number {
    let low = 0;
    let high = this.moments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.moments[middle] <= moment) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Long stretches in which nothing was under way but agents as a whole. */
  pauses(): Pause[] {
    const found: Pause[] = [];
    let busyUntil = 0;
    for (const row of this.inTime) {
      if (this.isSpan(row)) continue;
      if (this.begin[row] - busyUntil > this.total * LONG_PAUSE) found.push({ from: busyUntil, to: this.begin[row] });
      busyUntil = Math.max(busyUntil, this.end[row]);
    }
    return found;
  }

  private measure(isTimed: boolean): void {
    const { begin, end, columns } = this;
    for (let row = 0; row < columns.rows; row++) {
      const parent = columns.parent[row];
      if (Number.isNaN(begin[row])) begin[row] = parent >= 0 ? begin[parent] : 0;
      const ms = isTimed ? columns.duration[row] : 0.9;
      end[row] = begin[row] + (ms > 0 ? ms : 0);
    }
    // An agent of which nobody knows when it ended lasts as long as what is in it.
    for (let row = columns.rows - 1; row > 0; row--) {
      const parent = columns.parent[row];
      if (isTimed && parent >= 0 && Number.isNaN(columns.duration[parent]))
        end[parent] = Math.max(end[parent], end[row]);
    }
  }

  /** Puts what is under way at the same time in one lane below each other, what is inside an agent below the agent. */
  private stack(): void {
    const until = this.lanes.map(() => new Float64Array(LEVELS).fill(Number.NEGATIVE_INFINITY));
    for (const row of this.inTime) {
      const lane = this.laneOf[row];
      const parent = this.columns.parent[row];
      const ends = until[lane];
      let level = parent >= 0 && this.laneOf[parent] === lane ? Math.min(LEVELS - 1, this.level[parent] + 1) : 0;
      while (level < LEVELS - 1 && ends[level] > this.begin[row]) level++;
      this.over[row] = ends[level] = Math.max(ends[level], this.end[row]);
      this.level[row] = level;
      const { levels } = this.lanes[lane];
      while (levels.length <= level) levels.push([]);
      levels[level].push(row);
    }
  }

  private eventMoments(): Float64Array {
    const seen = new Uint8Array(this.columns.rows);
    let latest = 0;
    return Float64Array.from(this.rowOfEvent, (row) => {
      latest = Math.max(latest, seen[row] ? this.end[row] : this.begin[row]);
      seen[row] = 1;
      return latest;
    });
  }
}
