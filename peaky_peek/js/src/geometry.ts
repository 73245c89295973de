/** Where things stand in a row: the indentation at the left, the aligned columns at the right. */
import type { Scene } from "./scene";
import { ROW } from "./viewport";

/** Height of the line that names the columns. */
export const HEADER = 22;
export const RULER = 12;
const STEP = 16;
const LEAST_STEP = 6;
const PAD = 6;

export interface Geometry {
  /** Left edge of a row's disclosure triangle. */
  left(row: number): number;
  /** Depth that stands at the left edge, above 0 in chains deeper than the view is wide. */
  firstLevel: number;
  /** Size of things relative to the usual row. */
  scale: number;
  /** Where names and previews must end, in a row with one mark at most. */
  textEnd: number;
  /** Right edge of the failed and suspect marks. */
  marks: number;
  bar: { x: number; width: number } | null;
  /** Right edges of the columns of numbers; 0 without one. */
  duration: number;
  cost: number;
  /** Left edge of the ruler. */
  ruler: number;
}

export function measure(scene: Scene, width: number): Geometry {
  const { outline, viewport } = scene;
  const scale = Math.min(1.4, viewport.rowHeight / ROW);
  const ruler = width - RULER;
  let x = ruler - 8;
  const take = (size: number): number => {
    const right = x;
    x -= size;
    return right;
  };
  const text = viewport.hasText;
  const digits = Math.max(0.85, scale) * 66;
  const cost = text && scene.hasCost && width >= 440 ? take(1.25 * digits) : 0; // "$0.000047"
  const duration = text && scene.hasDuration && width >= 260 ? take(digits) : 0;
  const barWidth = text ? 64 : width * 0.3;
  const bar = scene.longest > 0 && width >= 560 ? { x: take(barWidth + 10) - barWidth, width: barWidth } : null;
  const marks = take(scene.hasMarks ? 20 : 0);
  const [depths, firstLevel, step] = indentation(scene, x * 0.45);
  const indent = step * Math.min(1, Math.max(0.3, scale));
  return {
    left: (row) => PAD + Math.min(depths, Math.max(0, outline.depth[row] - firstLevel)) * indent,
    firstLevel,
    scale,
    textEnd: x - 6,
    marks,
    bar,
    duration,
    cost,
    ruler,
  };
}

/**
 * Levels that fit into `room`, the level to begin with, and the width of one. Steps shrink in deep trees; where that
 * is not enough, the shallowest row in view moves to the left edge, so that text never leaves the view.
 */
function indentation(scene: Scene, room: number): [levels: number, firstLevel: number, step: number] {
  const { outline, viewport } = scene;
  const step = Math.min(STEP, Math.max(LEAST_STEP, room / Math.max(1, outline.deepest)));
  const levels = Math.floor(room / step);
  if (outline.deepest <= levels) return [levels, 0, step];
  const [from, to] = viewport.range();
  let shallowest = outline.deepest;
  let deepest = 0;
  for (let place = from; place < to; place++) {
    const depth = outline.depth[outline.shown[place]];
    if (depth < shallowest) shallowest = depth;
    if (depth > deepest) deepest = depth;
  }
  return [levels, Math.max(0, Math.min(shallowest, deepest - levels)), step];
}
