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

type Numbers = Pick<Columns, "parent" | "kind" | "flags" | "importance" | "duration" | "cost">;
const NAMES = ["parent", "kind", "flags", "importance", "duration", "cost"] as const;

export class Growing {
  rows: number;
  readonly previews = new Map<number, string>();
  /** With room for more rows than there are. */
  private numbers: Numbers;
  private readonly names: string[] = [];
  /** When each step under way began, on the page's clock. */
  private started = new Map<number, number>();

  constructor(private readonly first: Columns) {
    this.rows = first.rows;
    this.numbers = first;
    this.make(first.rows);
  }

  /** Takes in steps that are new, or have become others. */
  take({ columns, texts }: Pick<Packed, "columns" | "texts">): void {
    let size = this.rows;
    for (const row of columns.row) size = Math.max(size, row + 1);
    if (size > this.numbers.parent.length) this.make(2 * size);
    this.rows = size;
    for (const [at, row] of columns.row.entries()) {
      for (const name of NAMES) this.numbers[name][row] = columns[name][at];
      if (this.numbers.parent[row] >= row) this.numbers.parent[row] = -1;
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
      const parent = this.numbers.parent[row];
      next[row] = parent < 0 ? root : child[parent];
      if (parent < 0) root = row;
      else child[parent] = row;
    }
    for (let row = root, at = 0; row >= 0; at++) {
      order[at] = row;
      place[row] = at;
      if (child[row] >= 0) row = child[row];
      else {
        while (row >= 0 && next[row] < 0) row = this.numbers.parent[row];
        if (row >= 0) row = next[row];
      }
    }
    return { columns: this.columns(order, place), order, place };
  }

  private columns(order: Int32Array, place: Int32Array): Columns {
    const laid = like(this.numbers, order.length);
    for (const name of NAMES) {
      const [to, from] = [laid[name], this.numbers[name]];
      for (let at = 0; at < order.length; at++) to[at] = from[order[at]];
    }
    laid.parent.forEach((parent, at) => {
      if (parent >= 0) laid.parent[at] = place[parent];
    });
    return {
      ...laid,
      rows: order.length,
      name: (at) => this.name(order[at]),
      durationText: (at) => {
        const running = (laid.flags[at] & RUNNING) !== 0;
        return format.duration(running ? this.elapsed(order[at]) : laid.duration[at]);
      },
      costText: (at) => format.cost(laid.cost[at]),
    };
  }

  private make(room: number): void {
    const made = like(this.numbers, room);
    for (const name of NAMES) made[name].set(this.numbers[name]);
    this.numbers = made;
  }
}

/** Columns of the same types with another number of rows. */
function like(numbers: Numbers, rows: number): Numbers {
  const make = (name: (typeof NAMES)[number]) => [name, new (numbers[name].constructor as Uint8ArrayConstructor)(rows)];
  return Object.fromEntries(NAMES.map(make)) as unknown as Numbers;
}
