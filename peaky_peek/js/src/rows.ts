/** Rows that are high enough to be read: guides, icon, name, preview, marks and numbers. */
import type { Context } from "./canvas";
import { count } from "./format";
import type { Geometry } from "./geometry";
import { drawChevron, drawFailed, drawIcon, drawNow, drawSuspect } from "./icons";
import type { Scene } from "./scene";
import { ellipsis, oneLine } from "./text";
import { EVENT_TYPES } from "./vocabulary";
import { CANCELLED, DERIVED, RUNNING } from "./wire";

const CHEVRON = 8;
/** Middle of the icon, from the left edge of a row. */
export const ICON = 25;
const NAME = 38;

export function paintRows(context: Context, scene: Scene, geometry: Geometry): void {
  const { outline, viewport } = scene;
  const [from, to] = viewport.range();
  const fonts = fontsOf(scene);
  context.textBaseline = "middle";
  for (let place = from; place < to; place++) paintBackground(context, scene, geometry, place);
  paintGuides(context, scene, geometry, from, to);
  for (let place = from; place < to; place++) {
    const row = outline.shown[place];
    const middle = viewport.y(place) + viewport.rowHeight / 2;
    if (row === scene.now) drawNow(context, scene.theme.accent, 1, middle);
    const end = paintMarks(context, scene, geometry, fonts, row, middle);
    paintStep(context, scene, geometry, fonts, row, middle, end);
    paintNumbers(context, scene, geometry, fonts, row, middle);
  }
}

interface Fonts {
  name: string;
  strong: string;
  small: string;
}

function fontsOf({ theme, viewport }: Scene): Fonts {
  const size = Math.min(16, Math.max(9, viewport.rowHeight * 0.57));
  return {
    name: `${size}px ${theme.font}`,
    strong: `600 ${size}px ${theme.font}`,
    small: `${size * 0.92}px ${theme.font}`,
  };
}

function paintBackground(context: Context, scene: Scene, geometry: Geometry, place: number): void {
  const { theme, viewport, outline } = scene;
  const row = outline.shown[place];
  const [y, height] = [viewport.y(place), viewport.rowHeight];
  const wash = (color: string, alpha: number) => {
    context.globalAlpha = alpha;
    context.fillStyle = color;
    context.fillRect(0, y, geometry.ruler, height);
    context.globalAlpha = 1;
  };
  // As strong as text on them still has a contrast of 4.5.
  if (scene.selected.has(row)) {
    wash(theme.accent, theme.dark ? 0.18 : 0.12);
    context.fillStyle = theme.accent;
    context.fillRect(0, y, 2, height);
  } else {
    if (scene.failed(row)) wash(theme.family.risk, 0.06);
    if (scene.hover === row) wash(theme.text, 0.05);
  }
  if (scene.focused && scene.cursor === row) {
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.5;
    context.strokeRect(0.75, y + 0.75, geometry.ruler - 1.5, height - 1.5);
  }
}

/** One line down from every parent in view or above it, and one elbow to every row. */
function paintGuides(context: Context, scene: Scene, geometry: Geometry, from: number, to: number): void {
  const { outline, viewport, theme } = scene;
  if (from >= to) return;
  const half = viewport.rowHeight / 2;
  const bend = 5 * geometry.scale;
  const bottom = viewport.y(to);
  const guide = (row: number) => Math.round(geometry.left(row) + CHEVRON * geometry.scale) + 0.5;
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.beginPath();
  const down = (parent: number) => {
    const last = outline.lastChild[parent];
    const start = Math.max(viewport.y(outline.place[parent]) + half + 6 * geometry.scale, -1);
    const stop = last < to ? viewport.y(last) + half - bend : bottom;
    if (last < from || stop <= start) return;
    context.moveTo(guide(parent), start);
    context.lineTo(guide(parent), stop);
  };
  for (let above = outline.parent[outline.shown[from]]; above >= 0; above = outline.parent[above]) {
    if (outline.depth[above] < geometry.firstLevel) break;
    down(above);
  }
  for (let place = from; place < to; place++) {
    const row = outline.shown[place];
    down(row);
    const parent = outline.parent[row];
    if (parent < 0) continue;
    const [x, y] = [guide(parent), Math.round(viewport.y(place) + half) + 0.5];
    const end = geometry.left(row) + (outline.hasChildren(row) ? 2 : ICON - 9) * geometry.scale;
    context.moveTo(x, y - bend);
    context.quadraticCurveTo(x, y, Math.min(end, x + bend), y);
    if (end > x + bend) context.lineTo(end, y);
  }
  context.stroke();
}

function paintStep(
  context: Context,
  scene: Scene,
  geometry: Geometry,
  fonts: Fonts,
  row: number,
  y: number,
  end: number,
): void {
  const { columns, outline, theme } = scene;
  const { scale } = geometry;
  const left = geometry.left(row);
  const failed = scene.failed(row);
  const faded = !outline.matches(row) && !failed;
  const family = scene.family(row);
  context.globalAlpha = scene.isLater(row) ? 0.35 : faded ? 0.65 : 1;
  if (outline.hasChildren(row)) {
    context.strokeStyle = theme.dim;
    context.lineWidth = 1.4;
    drawChevron(context, left + CHEVRON * scale, y, !outline.isCollapsed(row), scale);
  }
  context.fillStyle = theme.family[family];
  context.strokeStyle = theme.family[family];
  const radius = (3.6 + (3.6 * columns.importance[row]) / 255) * scale;
  const known = columns.kind[row] < EVENT_TYPES.length;
  if (known) drawIcon(context, family, left + ICON * scale, y, radius, (columns.flags[row] & DERIVED) !== 0);

  let x = left + NAME * scale;
  const write = (text: string, font: string, color: string) => {
    context.font = font;
    const cut = ellipsis(text, end - x, (part) => context.measureText(part).width);
    if (cut === "") return;
    context.fillStyle = color;
    context.fillText(cut, x, y + 0.5);
    x += context.measureText(cut).width + 10 * scale;
  };
  write(oneLine(columns.name(row)), failed ? fonts.strong : fonts.name, failed ? theme.family.risk : theme.text);
  const hidden = outline.hidden(row);
  if (hidden) write(`+${count(hidden.rows)}`, fonts.small, theme.dim);
  const state = columns.flags[row] & RUNNING ? "running" : columns.flags[row] & CANCELLED ? "cancelled" : "";
  const preview = faded ? "" : oneLine(scene.preview(row));
  if (state || preview) write([state, preview].filter(Boolean).join(" · "), fonts.small, theme.dim);
  context.globalAlpha = 1;
}

function paintNumbers(context: Context, scene: Scene, geometry: Geometry, fonts: Fonts, row: number, y: number): void {
  const { columns, theme } = scene;
  const ms = columns.duration[row];
  if (geometry.bar && ms >= 0) {
    const { x, width } = geometry.bar;
    const thick = Math.max(2, Math.round(3 * geometry.scale));
    context.fillStyle = theme.line;
    context.fillRect(x, Math.round(y - thick / 2), width, thick);
    context.fillStyle = theme.family[scene.family(row)];
    context.fillRect(x, Math.round(y - thick / 2), Math.max(1, (width * ms) / scene.longest), thick);
  }
  context.font = fonts.small;
  context.textAlign = "right";
  context.fillStyle = theme.dim;
  if (geometry.duration) context.fillText(columns.durationText(row), geometry.duration, y + 0.5);
  if (geometry.cost) context.fillText(columns.costText(row), geometry.cost, y + 0.5);
  context.textAlign = "left";
}

/** The row's own marks and, on a collapsed row, how many it hides; returns where they begin. */
function paintMarks(context: Context, scene: Scene, geometry: Geometry, fonts: Fonts, row: number, y: number): number {
  const { theme, outline } = scene;
  const { scale } = geometry;
  const hidden = outline.hidden(row);
  const failed = Number(scene.failed(row)) + (hidden?.failed ?? 0);
  const suspect = Number(scene.suspect(row)) + (hidden?.suspect ?? 0);
  let x = geometry.marks - 2;
  context.font = fonts.small;
  context.textAlign = "right";
  const mark = (n: number, color: string, draw: typeof drawFailed) => {
    if (n === 0) return;
    if (n > 1) {
      context.fillStyle = color;
      context.fillText(count(n), x, y + 0.5);
      x -= context.measureText(count(n)).width + 4 * scale;
    }
    context.strokeStyle = color;
    draw(context, x - 5 * scale, y, 4.2 * scale);
    x -= 16 * scale;
  };
  mark(suspect, theme.suspect, drawSuspect);
  mark(failed, theme.family.risk, drawFailed);
  context.textAlign = "left";
  return Math.min(geometry.textEnd, x);
}
