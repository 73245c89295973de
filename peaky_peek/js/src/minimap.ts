/** All nodes and links at the right edge, as small as that takes, with what is in view. */
import type { Context } from "./canvas";
import { FAILED_RANK, SUSPECT_RANK } from "./layout";
import type { LinkPicture } from "./links";

const CELL = 3;
const MOST_LEVELS = 24;

export function mapWidth(width: number): number {
  return Math.round(Math.min(64, Math.max(28, width * 0.07)));
}

/** How much a place matters: 255 for a failure, also one that is folded away there, 254 for a suspect. */
export function rankAt({ layout, scene: { outline } }: LinkPicture, place: number): number {
  return layout.node[place] < 0 ? 0 : outline.rank[outline.place[layout.node[place]]];
}

export function paintMap(context: Context, picture: LinkPicture): void {
  const { layout, scene, height, map: left, width: right, viewport } = picture;
  const { theme } = scene;
  const width = right - left;
  context.fillStyle = theme.background;
  context.fillRect(left, 0, width, height);
  context.fillStyle = theme.line;
  context.fillRect(left, 0, 1, height);
  const columns = Math.min(MOST_LEVELS, Math.max(1, layout.levels));
  const step = (width - 8) / columns;
  const lines = Math.max(1, Math.floor(height / CELL));
  const cells = cellsOf(picture, columns, lines);
  const tall = Math.max(1.5, Math.min(CELL, (lines / Math.max(1, layout.lines)) * CELL) - 0.5);
  cells.forEach((worst, cell) => {
    if (worst === 0) return;
    const [x, y] = [left + 5 + (cell % columns) * step, Math.floor(cell / columns) * CELL];
    const wrong = worst >= SUSPECT_RANK;
    context.globalAlpha = wrong ? 1 : 0.35;
    context.fillStyle = worst === FAILED_RANK ? theme.family.risk : wrong ? theme.suspect : theme.dim;
    context.fillRect(x, y, Math.max(wrong ? 5 : 2, step - 1), wrong ? CELL : tall);
  });
  const { start, size } = viewport.window;
  context.globalAlpha = 0.14;
  context.fillStyle = theme.accent;
  const thumb = Math.max(14, size * height);
  context.fillRect(left + 1, Math.min(start * height, height - thumb), width - 1, thumb);
  context.globalAlpha = 1;
  context.fillStyle = theme.accent;
  for (const row of [...scene.selected].slice(0, 100)) {
    const place = layout.place[row] ?? -1;
    if (place >= 0) context.fillRect(left, (layout.line[place] / layout.lines) * height, 5, 3);
  }
}

const cache = new WeakMap<object, { key: string; cells: Uint8Array }>();

function cellsOf(picture: LinkPicture, columns: number, lines: number): Uint8Array {
  const { layout } = picture;
  const key = `${columns} ${lines}`;
  const known = cache.get(layout);
  if (known?.key === key) return known.cells;
  const cells = new Uint8Array(columns * lines);
  for (let place = 0; place < layout.count; place++) {
    const across = Math.floor((layout.level[place] / layout.levels) * columns);
    const cell = Math.floor((layout.line[place] / layout.lines) * lines) * columns + across;
    cells[cell] = Math.max(cells[cell], rankAt(picture, place), 1);
  }
  cache.set(layout, { key, cells });
  return cells;
}
