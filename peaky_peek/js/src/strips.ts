/** Rows too small to read: one strip each, and where several share a line of pixels, the one that matters most. */
import type { Context } from "./canvas";
import type { Geometry } from "./geometry";
import { FAILED_RANK, SUSPECT_RANK } from "./layout";
import type { Scene } from "./scene";

/** With three marks a line, at most about 2,000 marks a frame. */
const MOST_LINES = 640;

export interface Line {
  y: number;
  height: number;
  /** The row that stands for the line. */
  row: number;
  rank: number;
  /** The longest duration in it, in milliseconds. */
  longest: number;
}

/** The lines of a frame, each with its failed row when it has one, else suspect, else the most important. */
export function lines(scene: Pick<Scene, "viewport" | "outline" | "columns">): Line[] {
  const { viewport, outline } = scene;
  const { duration } = scene.columns;
  const [from, to] = viewport.range();
  const least = Math.max(1, viewport.height / MOST_LINES);
  const all: Line[] = [];
  const lineAt = (place: number) => Math.floor(viewport.y(place) / least);
  for (let place = from; place < to; ) {
    const line = lineAt(place);
    let best = place;
    let longest = duration[outline.shown[place]];
    let next = place + 1;
    for (; next < to && lineAt(next) === line; next++) {
      if (outline.rank[next] > outline.rank[best]) best = next;
      if (!(duration[outline.shown[next]] <= longest)) longest = duration[outline.shown[next]];
    }
    const y = line * least;
    all.push({
      y,
      height: (lineAt(next) - line) * least,
      row: outline.shown[best],
      rank: outline.rank[best],
      longest,
    });
    place = next;
  }
  return all;
}

export function paintStrips(context: Context, scene: Scene, geometry: Geometry): void {
  const { theme, outline, columns } = scene;
  const { bar, marks, ruler, textEnd } = geometry;
  for (const { y, height, row, rank, longest } of lines(scene)) {
    const solid = height >= 3 ? height - 1 : height;
    const fill = (color: string, x: number, width: number, alpha: number) => {
      context.globalAlpha = alpha;
      context.fillStyle = color;
      context.fillRect(x, y, width, solid);
    };
    const color = theme.family[scene.family(row)];
    const left = geometry.left(row);
    const width = 14 + (columns.importance[row] / 255) * textEnd * 0.4;
    if (scene.selected.has(row)) fill(theme.accent, 0, ruler, 0.3);
    else if (scene.hover === row && height >= 3) fill(theme.text, 0, ruler, 0.08);
    fill(
      color,
      left,
      Math.min(width, textEnd - left),
      scene.isLater(row) || !outline.matches(row) ? 0.25 : rank === FAILED_RANK ? 1 : 0.6,
    );
    if (rank === FAILED_RANK) fill(theme.family.risk, marks - 18, 18, 1);
    if (rank === SUSPECT_RANK) fill(theme.suspect, marks - 9, 9, 1);
    if (bar && longest >= 0) fill(color, bar.x, Math.max(1, (bar.width * longest) / scene.longest), 0.6);
  }
  context.globalAlpha = 1;
}
