/** What the tree asks of a way to draw it. Points are those of the canvas; rows that are hidden have none. */
import type { Context } from "./canvas";

/** Where the shape of a step is. */
export interface Pin {
  x: number;
  y: number;
  radius: number;
  /** How far above and below it there is room for a line between labels; 0 where there is none. */
  gap: number;
}

export interface Picture {
  /** The height that all of it would take. */
  readonly naturalHeight: number;
  /** How many steps a page key walks. */
  readonly page: number;
  /** From here on to the right, all of the tree is shown small; dragging there moves the view. */
  readonly map: number;
  /** Takes the size of the canvas, and what the outline shows now. */
  measure(width: number, height: number): void;
  paint(context: Context, width: number, height: number): void;
  rowAt(x: number, y: number): number;
  /** Whether a click there opens or closes the row. */
  folds(x: number, row: number): boolean;
  /** Left, top, width and height of a row; null when it is not in view. */
  rect(row: number): [number, number, number, number] | null;
  /** Where a row is, in view or not, or what hides it; null when nothing stands for it. */
  pin(row: number): Pin | null;
  reveal(row: number): void;
  /** What moves as the pointer is dragged from here on; null where nothing does. */
  drag(x: number, y: number): ((x: number, y: number) => void) | null;
  /** Returns whether anything moved, so that a wheel at the end is left to the page. */
  scroll(x: number, y: number): boolean;
  /** 0 shows all there is. */
  zoom(factor: number, x: number, y: number): void;
  usual(): void;
  /** The row that a key leads to, where that is not as in any tree; else -1. */
  walk(key: string, row: number): number;
}
