/**
 * The tree as nodes and links, laid out in lines: the first that came of a step stands beside it on its line, the
 * others below. So each line reads as a way from left to right, time runs down, and no label meets another.
 * A decision hangs under the answer that it was read from, what it chose under the decision, and on a line of their own
 * the alternatives. Everything is linear over typed arrays.
 */
import type { Outline } from "./layout";
import type { Numbers, Texts } from "./packed";

/** What the kernel knows of the decisions of a session. */
export interface Forks {
  row: Numbers;
  /** How many rows after each what it chose is, and before it the answer that it was read from; 0 for none. */
  chosen: Numbers;
  asked: Numbers;
  /** How many alternatives there were, and which of `lists` has the first of them, as lines. */
  count: Numbers;
  list: Numbers;
  lists: Texts;
}

const WIDEST = 210;
const NARROWEST = 72;
const LETTER = 6.4;
/** Of a level, what is not label: the node before it and the room for links after it. */
const AROUND = 56;

export class NodeLink {
  /** How many places hold; places are in pre-order. */
  count = 0;
  lines = 0;
  levels = 0;
  /** What is at a place: a row, or the alternatives of a fork as -1 - fork. */
  readonly node: Int32Array;
  readonly line: Int32Array;
  readonly level: Int32Array;
  /** Place of the parent and of the last child, -1 for none. */
  readonly parent: Int32Array;
  readonly last: Int32Array;
  /** Place of each row, -1 when it is not shown. */
  readonly place: Int32Array;
  /** Of each row, the row above, its first child, and its next sibling; -1 for none. */
  readonly up: Int32Array;
  readonly first: Int32Array;
  readonly next: Int32Array;
  /** Where each level begins, in pixels at the usual size; one more for where the last ends. */
  readonly x: Float64Array;

  /** `letters` is the length of a row's label. */
  constructor(outline: Outline, forks: Forks | null, letters: (row: number) => number) {
    const { rows, shown, count } = outline;
    const most = count + (forks?.row.length ?? 0);
    this.node = new Int32Array(most);
    this.line = new Int32Array(most);
    this.level = new Int32Array(most);
    this.parent = new Int32Array(most);
    this.last = new Int32Array(most).fill(-1);
    this.place = new Int32Array(rows).fill(-1);
    this.up = outline.parent.slice();
    // The last stands for the roots, which have no parent.
    this.first = new Int32Array(rows + 1).fill(-1);
    this.next = new Int32Array(rows).fill(-1);
    const ghosts = new Int32Array(rows).fill(-1);
    if (forks) this.#hang(forks, outline.place, ghosts);
    for (let place = count - 1; place >= 0; place--) {
      const row = shown[place];
      const above = this.up[row] < 0 ? rows : this.up[row];
      this.next[row] = this.first[above];
      this.first[above] = row;
    }
    this.#walk(rows, ghosts);
    this.x = this.#columns(letters);
  }

  /** Whether a place has a child beside it, on the same line. */
  leads(place: number): boolean {
    return place + 1 < this.count && this.parent[place + 1] === place && this.line[place + 1] === this.line[place];
  }

  /** The first place on a line or after it. */
  startOf(line: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.line[middle] < line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row that an arrow leads to; the row itself at an end. */
  walk(key: string, row: number): number {
    const known = (other: number) => (other < 0 ? row : other);
    if (key === "ArrowRight") return known(this.first[row]);
    if (key === "ArrowLeft") return known(this.up[row]);
    if (key === "ArrowDown") {
      let from = row;
      while (from >= 0 && this.next[from] < 0) from = this.up[from];
      return from < 0 ? row : this.next[from];
    }
    let before = this.first[this.up[row] < 0 ? this.place.length : this.up[row]];
    if (before === row) return known(this.up[row]);
    while (this.next[before] !== row) before = this.next[before];
    return before;
  }

  #hang(forks: Forks, shown: Int32Array, ghosts: Int32Array): void {
    for (let fork = 0; fork < forks.row.length; fork++) {
      const row = forks.row[fork];
      if (!(shown[row] >= 0)) continue;
      if (forks.count[fork] > 0) ghosts[row] = fork;
      const [chosen, asked] = [row + forks.chosen[fork], row - forks.asked[fork]];
      // What comes later never holds what came before, whatever was sent.
      if (chosen > row && shown[chosen] >= 0) this.up[chosen] = row;
      if (asked < row && shown[asked] >= 0) this.up[row] = asked;
    }
  }

  #walk(rows: number, ghosts: Int32Array): void {
    let row = this.first[rows];
    let above = -1;
    let beside = false;
    const add = (node: number) => {
      const place = this.count++;
      this.node[place] = node;
      this.parent[place] = above;
      if (above >= 0) this.last[above] = place;
      this.level[place] = above < 0 ? 0 : this.level[above] + 1;
      this.levels = Math.max(this.levels, this.level[place] + 1);
      if (!beside) this.lines++;
      this.line[place] = this.lines - 1;
      return place;
    };
    while (row >= 0 || above >= 0) {
      if (row >= 0) {
        above = this.place[row] = add(row);
        row = this.first[row];
        beside = true;
        continue;
      }
      const done = this.node[above];
      beside = false;
      if (ghosts[done] >= 0) add(-1 - ghosts[done]);
      row = this.next[done];
      above = this.parent[above];
    }
  }

  #columns(letters: (row: number) => number): Float64Array {
    const wide = new Float64Array(this.levels).fill(NARROWEST);
    for (let place = 0; place < this.count; place++) {
      if (!this.leads(place)) continue;
      const width = Math.min(WIDEST, AROUND + LETTER * letters(this.node[place]));
      if (width > wide[this.level[place]]) wide[this.level[place]] = width;
    }
    const x = new Float64Array(this.levels + 1);
    for (let level = 0; level < this.levels; level++) x[level + 1] = x[level] + wide[level];
    return x;
  }
}
