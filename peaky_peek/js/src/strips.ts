/** Rows too small to read: one strip each, and where several share a line of pixels, the one that matters most. */
import type { Context } from "./canvas";
import type { Geometry } from "./geometry";
import type { Scene } from "./scene";

/** With three marks a line, at most about 2,000 marks a frame. */
const MOST_LINES = 640;

export interface Line {
  y: number;
  height: number;
  /** Of the row that stands for the line. */
  place: number;
}

/** The lines of a frame, each with its failed row when it has one, else suspect, else the most important. */
export function lines(scene: Pick<Scene, "viewport" | "outline">): Line[] {
  const { viewport, outline } = scene;
  const [from, to] = viewport.range();
  const least = Math.max(1, viewport.height / MOST_LINES);
  const all: Line[] = [];
  const lineAt = (place: number) => Math.floor(viewport.y(place) / least);
  for (let place = from; place < to; ) {
    const line = lineAt(place);
    let best = place;
    let next = place + 1;
    for (; next < to && lineAt(next) === line; next++) {
      if (outline.rank[next] > outline.rank[best]) best = next;
    }
    const y = line * least;
    all.push({ y, height: Math.max(least, Math.round(viewport.y(next)) - y), place: best });
    place = next;
  }
  return all;
}

export function paintStrips(context: Context, scene: Scene, geometry: Geometry): void {
  const { theme, outline, columns } = scene;
  for (const { y, height, place } of lines(scene)) {
    const row = outline.shown[place];
    const solid = height >= 3 ? height - 1 : height;
    const fill = (color: string, x: number, width: number, alpha = 1) => {
      context.globalAlpha = alpha;
      context.fillStyle = color;
      context.fillRect(x, y, width, solid);
    };
    const rank = outline.rank[place];
    const left = geometry.left(row);
    const width = 14 + (columns.importance[row] / 255) * 66;
    if (scene.selected.has(row)) fill(theme.accent, 0, geometry.ruler, 0.3);
    else if (scene.hover === row && height >= 3) fill(theme.text, 0, geometry.ruler, 0.08);
    fill(
      theme.family[scene.family(row)],
      left,
      Math.min(width, geometry.textEnd - left),
      outline.matches(row) ? 0.85 : 0.3,
    );
    if (rank >= 254) fill(rank === 255 ? theme.family.risk : theme.suspect, geometry.marks + 2, 24);
    const ms = columns.duration[row];
    if (geometry.bar && ms >= 0) {
      fill(
        theme.family[scene.family(row)],
        geometry.bar.x,
        Math.max(1, (geometry.bar.width * ms) / scene.longest),
        0.6,
      );
    }
  }
  context.globalAlpha = 1;
}
