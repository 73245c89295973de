/** The steps of a run that goes on: rows in the order in which they came, laid out again whenever some are new. */
import * as format from "./format";
import type { Packed } from "./packed";
import { type Columns, RUNNING } from "./wire";

export interface LaidOut {
  /** In preorder, as views draw them. */
  columns: Columns;
  /** The row of each row of the columns. */
  order: Int32Array;
  /** The row of the columns of each row. */
  place: Int32Array;
}

export class Growing {
  rows: number;
  readonly previews = new Map<number, string>();
  private parent: Int32Array;
  private kind: Uint8Array;
  private flags: Uint8Array;
  private importance: Uint8Array;
  private duration: Float32Array;
  private cost: Float32Array;
  private readonly names: string[] = [];
  /** When each step under way began, on the page's clock. */
  private started = new Map<number, number>();

  constructor(private readonly first: Columns) {
    this.rows = first.rows;
    this.parent = first.parent.slice();
    this.kind = first.kind.slice();
    this.flags = first.flags.slice();
    this.importance = first.importance.slice();
    this.duration = first.duration.slice();
    this.cost = first.cost.slice();
  }

  /** Takes in steps that are new, or have become others. */
  take({ columns, texts }: Packed): void {
    const { row: rows, parent, kind, flags, importance, duration, cost } = columns;
    let size = this.rows;
    for (const row of rows) size = Math.max(size, row + 1);
    this.make(size);
    for (const [at, row] of rows.entries()) {
      this.parent[row] = parent[at] < row ? parent[at] : -1;
      this.kind[row] = kind[at];
      this.flags[row] = flags[at];
      this.importance[row] = importance[at];
      this.duration[row] = duration[at];
      this.cost[row] = cost[at];
      this.names[row] = texts.name.at(at);
      this.previews.set(row, texts.preview.at(at));
    }
  }

  /** Takes in which steps are under way, and for how many milliseconds they have been. */
  time(open: [row: number, ms: number | null][]): void {
    const now = performance.now();
    this.started = new Map(open.filter(([, ms]) => ms !== null).map(([row, ms]) => [row, now - Number(ms)]));
  }

  /** For how many milliseconds a step has been under way; null when it is not, or nobody knows. */
  elapsed(row: number): number | null {
    const started = this.started.get(row);
    return started === undefined ? null : Math.max(0, performance.now() - started);
  }

  name(row: number): string {
    return this.names[row] ?? (row < this.first.rows ? this.first.name(row) : "");
  }

  layOut(): LaidOut {
    const n = this.rows;
    const order = new Int32Array(n);
    const place = new Int32Array(n);
    const child = new Int32Array(n).fill(-1);
    const next = new Int32Array(n).fill(-1);
    let root = -1;
    for (let row = n - 1; row >= 0; row--) {
      const parent = this.parent[row];
      next[row] = parent < 0 ? root : child[parent];
      if (parent < 0) root = row;
      else child[parent] = row;
    }
    for (let row = root, at = 0; row >= 0; at++) {
      order[at] = row;
      place[row] = at;
      if (child[row] >= 0) row = child[row];
      else {
        while (row >= 0 && next[row] < 0) row = this.parent[row];
        if (row >= 0) row = next[row];
      }
    }
    return { columns: this.columns(order, place), order, place };
  }

  private columns(order: Int32Array, place: Int32Array): Columns {
    const duration = Float32Array.from(order, (row) => this.duration[row]);
    const cost = Float32Array.from(order, (row) => this.cost[row]);
    return {
      rows: order.length,
      parent: order.map((row) => (this.parent[row] < 0 ? -1 : place[this.parent[row]])),
      kind: Uint8Array.from(order, (row) => this.kind[row]),
      flags: Uint8Array.from(order, (row) => this.flags[row]),
      importance: Uint8Array.from(order, (row) => this.importance[row]),
      duration,
      cost,
      name: (at) => this.name(order[at]),
      durationText: (at) => {
        const running = (this.flags[order[at]] & RUNNING) !== 0;
        return format.duration(running ? this.elapsed(order[at]) : duration[at]);
      },
      costText: (at) => format.cost(cost[at]),
    };
  }

  /** Makes room for so many rows, twice as much as is needed at least. */
  private make(rows: number): void {
    if (rows > this.parent.length) {
      const room = <T extends Int32Array | Uint8Array | Float32Array>(before: T, made: T): T => {
        made.set(before);
        return made;
      };
      const size = 2 * rows;
      this.parent = room(this.parent, new Int32Array(size));
      this.kind = room(this.kind, new Uint8Array(size));
      this.flags = room(this.flags, new Uint8Array(size));
      this.importance = room(this.importance, new Uint8Array(size));
      this.duration = room(this.duration, new Float32Array(size));
      this.cost = room(this.cost, new Float32Array(size));
    }
    this.rows = rows;
  }
}
