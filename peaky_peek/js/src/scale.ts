/** Where events stand from left to right: evenly, but for folded stretches, which take little room. */
import { right } from "./course";

export interface Stretch {
  start: number;
  stop: number;
  said: string;
}

export interface Piece {
  start: number;
  stop: number;
  /** Where it begins, in units of the room that one event takes. */
  from: number;
  size: number;
  folded: Stretch | null;
}

const STUB = 74;
/** The share of the room that all folded stretches may take. */
const MOST = 0.4;

export class Scale {
  readonly pieces: Piece[] = [];
  readonly total: number;
  readonly #starts: number[];
  readonly #froms: number[];
  #from = 0;
  #size: number;

  constructor(
    length: number,
    folded: readonly Stretch[],
    readonly left: number,
    readonly width: number,
  ) {
    const hidden = folded.reduce((sum, { start, stop }) => sum + stop - start, 0);
    const stub = Math.min(STUB, (MOST * width) / Math.max(1, folded.length));
    const pixels = (width - stub * folded.length) / Math.max(1, length - hidden);
    let from = 0;
    const add = (start: number, stop: number, size: number, one: Stretch | null) => {
      if (stop > start) this.pieces.push({ start, stop, from, size, folded: one });
      from += stop > start ? size : 0;
    };
    let last = 0;
    for (const one of folded) {
      add(last, one.start, one.start - last, null);
      add(one.start, one.stop, Math.max(0.01, length > hidden ? stub / pixels : 1), one);
      last = one.stop;
    }
    add(last, length, length - last, null);
    this.total = Math.max(1, from);
    this.#size = this.total;
    this.#starts = this.pieces.map((piece) => piece.start);
    this.#froms = this.pieces.map((piece) => piece.from);
  }

  /** Pixels that an event takes. */
  get pixels(): number {
    return this.width / this.#size;
  }

  get zoomed(): boolean {
    return this.#size < this.total;
  }

  /** Where an event stands, also when it is out of sight. */
  x(at: number): number {
    return this.xIn(this.pieces[right(this.#starts, at) - 1], at);
  }

  xIn({ start, stop, from, size }: Piece, at: number): number {
    return this.#pixel(from + (size * (at - start + 0.5)) / (stop - start));
  }

  /** Where a stretch begins and ends. */
  edges({ from, size }: Piece): [from: number, to: number] {
    return [this.#pixel(from), this.#pixel(from + size)];
  }

  pieceAt(x: number): Piece {
    return this.pieces[Math.max(0, right(this.#froms, this.#unit(x)) - 1)];
  }

  /** The event at `x`, the nearest one where there is none. */
  position(x: number): number {
    const { start, stop, from, size } = this.pieceAt(x);
    const inside = Math.floor(((this.#unit(x) - from) / size) * (stop - start));
    return start + Math.min(stop - start - 1, Math.max(0, inside));
  }

  /** Makes events wider or narrower, with the one at `x` where it is. */
  zoom(factor: number, x: number): void {
    const unit = this.#unit(x);
    // A factor of 0 shows all again.
    this.#size = Math.min(this.total, Math.max(Math.min(8, this.total), this.#size / factor));
    this.#move(unit - ((x - this.left) / this.width) * this.#size);
  }

  pan(pixels: number): void {
    this.#move(this.#from + pixels / this.pixels);
  }

  /** Moves as little as needed to bring an event into sight. */
  reveal(at: number): boolean {
    const x = this.x(at);
    const margin = Math.min(40, this.width / 8);
    const over = Math.max(0, x - (this.left + this.width - margin)) || Math.min(0, x - (this.left + margin));
    const before = this.#from;
    if (this.zoomed && over !== 0) this.pan(over);
    return this.#from !== before;
  }

  /** Looks at the same part as another scale of the same events did. */
  like(other: Scale): void {
    if (!other.zoomed) return;
    const [first, last] = [other.position(other.left), other.position(other.left + other.width)];
    const from = this.#unit(this.x(first));
    this.#size = Math.max(Math.min(8, this.total), this.#unit(this.x(last)) - from + 1);
    this.#move(from - 0.5);
  }

  #move(from: number): void {
    this.#size = Math.min(this.total, this.#size);
    this.#from = Math.max(0, Math.min(this.total - this.#size, from));
  }

  #unit(x: number): number {
    return this.#from + (x - this.left) / this.pixels;
  }

  #pixel(unit: number): number {
    return this.left + (unit - this.#from) * this.pixels;
  }
}
