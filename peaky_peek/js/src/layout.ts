/** The outline: which rows are shown, and what the collapsed ones hide. Everything is linear over typed arrays. */
import { FAILED, SUSPECT } from "./wire";

/** Ranks of places; below them is importance. */
export const FAILED_RANK = 255;
export const SUSPECT_RANK = 254;

export interface Hidden {
  rows: number;
  failed: number;
  suspect: number;
}

export class Outline {
  readonly rows: number;
  readonly depth: Int32Array;
  /** One past the last row of the subtree. */
  readonly end: Int32Array;
  readonly deepest: number;

  /** Row at each place from top to bottom; the first `count` entries hold. */
  readonly shown: Int32Array;
  count = 0;
  /** Changes whenever `shown` does. */
  version = 0;
  /** Place of each row, -1 when it is not shown. */
  readonly place: Int32Array;
  /** Place of the last shown child of each row, -1 without one. */
  readonly lastChild: Int32Array;
  /** How much each place matters when several share a pixel. */
  readonly rank: Uint8Array;

  readonly #failedBefore: Int32Array;
  readonly #suspectBefore: Int32Array;
  #matchedBefore: Int32Array | null = null;
  #collapsed: Uint8Array;
  /** What was collapsed before the filter, which opens every way to a match. */
  #collapsedBeforeFilter: Uint8Array | null = null;

  constructor(
    readonly parent: Int32Array,
    private readonly flags: Uint8Array,
    private readonly importance: Uint8Array,
  ) {
    const n = parent.length;
    this.rows = n;
    this.depth = new Int32Array(n);
    this.end = new Int32Array(n);
    this.shown = new Int32Array(n);
    this.place = new Int32Array(n);
    this.lastChild = new Int32Array(n);
    this.rank = new Uint8Array(n);
    this.#collapsed = new Uint8Array(n);
    let deepest = 0;
    for (let row = 0; row < n; row++) {
      if (parent[row] >= 0) this.depth[row] = this.depth[parent[row]] + 1;
      deepest = Math.max(deepest, this.depth[row]);
    }
    this.deepest = deepest;
    for (let row = n - 1; row >= 0; row--) {
      this.end[row] = Math.max(this.end[row], row + 1);
      const p = parent[row];
      if (p >= 0) this.end[p] = Math.max(this.end[p], this.end[row]);
    }
    this.#failedBefore = before(n, (row) => (flags[row] & FAILED) !== 0);
    this.#suspectBefore = before(n, (row) => (flags[row] & SUSPECT) !== 0);
    this.#rebuild();
  }

  some(test: (row: number) => boolean): boolean {
    for (let row = 0; row < this.rows; row++) if (test(row)) return true;
    return false;
  }

  get filtered(): boolean {
    return this.#matchedBefore !== null;
  }

  /** Whether the row itself matches the filter, rather than leading to a row that does. */
  matches(row: number): boolean {
    const matched = this.#matchedBefore;
    return matched === null || matched[row + 1] > matched[row];
  }

  hasChildren(row: number): boolean {
    return this.#wanted(row + 1, this.end[row]) > 0;
  }

  isCollapsed(row: number): boolean {
    return this.#collapsed[row] === 1;
  }

  /** What a collapsed row hides; null for a row that hides nothing. */
  hidden(row: number): Hidden | null {
    if (!this.isCollapsed(row) || !this.hasChildren(row)) return null;
    const [from, to] = [row + 1, this.end[row]];
    return {
      rows: this.#wanted(from, to),
      failed: this.#failedBefore[to] - this.#failedBefore[from],
      suspect: this.#suspectBefore[to] - this.#suspectBefore[from],
    };
  }

  get failures(): number {
    return this.#failedBefore[this.rows];
  }

  setCollapsed(row: number, collapsed: boolean): void {
    this.#collapsed[row] = Number(collapsed);
    this.#rebuild();
  }

  expandAll(): void {
    this.#collapsed.fill(0);
    this.#rebuild();
  }

  /** Collapses everything below the roots' children. */
  collapseAll(): void {
    for (let row = 0; row < this.rows; row++) this.#collapsed[row] = Number(this.parent[row] >= 0);
    this.#rebuild();
  }

  /** Opens the row's ancestors; returns false for a row that the filter hides. */
  reveal(row: number): boolean {
    if (this.#wanted(row, this.end[row]) === 0) return false;
    if (this.place[row] < 0) {
      for (let p = this.parent[row]; p >= 0; p = this.parent[p]) this.#collapsed[p] = 0;
      this.#rebuild();
    }
    return true;
  }

  /** Shows only the rows of `mask` and the ways to them; null shows all rows again. */
  filter(mask: Uint8Array | null): void {
    if (mask && !this.#collapsedBeforeFilter) {
      this.#collapsedBeforeFilter = this.#collapsed;
      this.#collapsed = new Uint8Array(this.rows);
    } else if (!mask && this.#collapsedBeforeFilter) {
      this.#collapsed = this.#collapsedBeforeFilter;
      this.#collapsedBeforeFilter = null;
    }
    this.#matchedBefore = mask && before(this.rows, (row) => mask[row] === 1);
    this.#rebuild();
  }

  /** Takes over what was collapsed in another outline of the same session; `was` is the row there of each row here. */
  keep(before: Outline, was: Int32Array): void {
    const kept = (flags: Uint8Array) => Uint8Array.from(was, (row) => (row < 0 ? 0 : flags[row]));
    this.#collapsed = kept(before.#collapsed);
    this.#collapsedBeforeFilter = before.#collapsedBeforeFilter && kept(before.#collapsedBeforeFilter);
    this.#rebuild();
  }

  /** The row itself, or the nearest around it that is shown; -1 when none is. */
  shownFor(row: number): number {
    let shown = row;
    while (shown >= 0 && this.place[shown] < 0) shown = this.parent[shown];
    return shown;
  }

  /** The next failed row after `row`, around the end; -1 when there is none. */
  nextFailure(row: number): number {
    for (let step = 1; step <= this.rows; step++) {
      const candidate = (row + step) % this.rows;
      if (this.flags[candidate] & FAILED && this.matches(candidate)) return candidate;
    }
    return -1;
  }

  #wanted(from: number, to: number): number {
    return this.#matchedBefore ? this.#matchedBefore[to] - this.#matchedBefore[from] : to - from;
  }

  #rebuild(): void {
    this.place.fill(-1);
    this.lastChild.fill(-1);
    let count = 0;
    for (let row = 0; row < this.rows; ) {
      const end = this.end[row];
      if (this.#wanted(row, end) === 0) {
        row = end;
        continue;
      }
      this.shown[count] = row;
      this.place[row] = count;
      if (this.parent[row] >= 0) this.lastChild[this.parent[row]] = count;
      const next = this.#collapsed[row] ? end : row + 1;
      this.rank[count] = this.#rankOf(row, next);
      count += 1;
      row = next;
    }
    this.count = count;
    this.version += 1;
  }

  #rankOf(row: number, next: number): number {
    if (this.#failedBefore[next] > this.#failedBefore[row]) return FAILED_RANK;
    if (this.#suspectBefore[next] > this.#suspectBefore[row]) return SUSPECT_RANK;
    return Math.min(this.importance[row], SUSPECT_RANK - 1);
  }
}

/** Running count of the rows that satisfy `test`, so that any range is counted by one subtraction. */
function before(n: number, test: (row: number) => boolean): Int32Array {
  const sums = new Int32Array(n + 1);
  for (let row = 0; row < n; row++) sums[row + 1] = sums[row] + Number(test(row));
  return sums;
}
