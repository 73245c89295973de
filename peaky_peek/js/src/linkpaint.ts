/** Nodes and links in view: with labels where they can be read, else as marks of which the one that matters most wins. */
import type { Context } from "./canvas";
import { count } from "./format";
import { drawFailed, drawIcon, drawNow, drawSuspect } from "./icons";
import { FAILED_RANK, SUSPECT_RANK } from "./layout";
import type { LinkPicture } from "./links";
import { rankAt } from "./minimap";
import { ellipsis, oneLine } from "./text";
import { EVENT_TYPES } from "./vocabulary";
import { DERIVED, RUNNING } from "./wire";

const BEND = 6;
/** From where links go down to the level that they lead to. */
const TRUNK = 16;
const MOST_MARKS = 2_000;
const DASH = [3, 3];

export function paintLinks(context: Context, picture: LinkPicture): void {
  const { layout, viewport } = picture;
  const [from, to] = viewport.range();
  const [first, end] = [layout.startOf(from), layout.startOf(to)];
  context.textBaseline = "middle";
  if (!viewport.hasText) {
    paintMarks(context, picture, first, end);
    return;
  }
  const ends = new Float64Array(end - first);
  for (let place = first; place < end; place++) {
    ends[place - first] =
      layout.node[place] < 0 ? paintGhosts(context, picture, place) : paintNode(context, picture, place);
  }
  paintTrunks(context, picture, first, end, ends);
}

/** Paints a node and its label; returns where the label ends. */
function paintNode(context: Context, picture: LinkPicture, place: number): number {
  const { scene, layout, scale } = picture;
  const { theme, columns, outline } = scene;
  const row = layout.node[place];
  const [x, y] = [picture.x(layout.level[place]), picture.y(layout.line[place])];
  const leads = layout.leads(place);
  const limit = leads ? picture.x(layout.level[place] + 1) - TRUNK - 8 : picture.map - 8;
  const family = scene.family(row);
  const failed = scene.failed(row);
  const radius = picture.radius(row);
  const size = Math.min(15, Math.max(9.5, picture.viewport.rowHeight * 0.56));
  let at = x + 11 * scale;
  const marks = Number(failed) + Number(scene.suspect(row));
  const write = (text: string, font: string, color: string, room: number) => {
    context.font = `${font}${size}px ${theme.font}`;
    const cut = ellipsis(text, limit - at - room, (part) => context.measureText(part).width);
    context.fillStyle = color;
    context.fillText(cut, at, y + 0.5);
    if (cut) at += context.measureText(cut).width + 6 * scale;
  };

  const [left, top, width, height] = picture.rect(row) ?? [0, 0, 0, 0];
  const wash = (color: string, alpha: number) => {
    context.globalAlpha = alpha;
    context.fillStyle = color;
    context.fillRect(left, top + 1, leads ? width - TRUNK + 8 : width, height - 2);
    context.globalAlpha = 1;
  };
  if (scene.selected.has(row)) wash(theme.accent, theme.dark ? 0.2 : 0.13);
  else if (failed) wash(theme.family.risk, 0.07);
  else if (scene.suspect(row)) wash(theme.suspect, 0.09);
  if (scene.hover === row && !scene.selected.has(row)) wash(theme.text, 0.05);
  if (row === scene.now) drawNow(context, theme.accent, x - radius - 10, y);
  if (scene.focused && scene.cursor === row) {
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, top + 0.75, (leads ? width - TRUNK + 8 : width) - 1.5, height - 1.5);
  }
  const faded = !outline.matches(row) && !failed;
  context.globalAlpha = scene.isLater(row) ? 0.35 : faded ? 0.65 : 1;
  context.fillStyle = context.strokeStyle = theme.family[family];
  if (columns.kind[row] < EVENT_TYPES.length)
    drawIcon(context, family, x, y, radius, (columns.flags[row] & DERIVED) !== 0);
  write(oneLine(columns.name(row)), failed ? "600 " : "", failed ? theme.family.risk : theme.text, 14 * scale * marks);
  const mark = (color: string, draw: typeof drawFailed) => {
    context.strokeStyle = color;
    draw(context, at + 4 * scale, y, 4.2 * scale);
    at += 14 * scale;
  };
  if (failed) mark(theme.family.risk, drawFailed);
  if (scene.suspect(row)) mark(theme.suspect, drawSuspect);
  const hidden = outline.hidden(row);
  if (hidden) {
    write(`+${count(hidden.rows)}`, "", theme.dim, 0);
    if (hidden.failed) write(`✕ ${count(hidden.failed)}`, "600 ", theme.family.risk, 0);
    if (hidden.suspect) write(`△ ${count(hidden.suspect)}`, "", theme.suspect, 0);
  }
  const said = [columns.flags[row] & RUNNING ? "running" : "", faded ? "" : oneLine(scene.preview(row))];
  if (!leads) write(said.filter(Boolean).join(" · "), "", theme.dim, 0);
  context.globalAlpha = 1;
  return at;
}

/** Paints what a decision did not choose, beside each other on a line, and how many more there were. */
function paintGhosts(context: Context, picture: LinkPicture, place: number): number {
  const { scene, layout, scale } = picture;
  const { theme, forks } = scene;
  if (!forks) return 0;
  const fork = -1 - layout.node[place];
  const names = forks.lists.at(forks.list[fork]).split("\n");
  const y = picture.y(layout.line[place]);
  const limit = picture.map - 40;
  let x = picture.x(layout.level[place]);
  const end = x;
  context.font = `italic ${Math.min(13, Math.max(9, picture.viewport.rowHeight * 0.5))}px ${theme.font}`;
  context.globalAlpha = scene.isLater(picture.rowOf(place)) ? 0.4 : 1;
  context.fillStyle = context.strokeStyle = theme.dim;
  context.lineWidth = 1;
  let more = forks.count[fork];
  const draw = (name: string, width: number) => {
    context.setLineDash([2, 2]);
    context.beginPath();
    context.arc(x, y, 3.6 * scale, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.fillText(name, x + 8 * scale, y + 0.5);
    x += width + 22 * scale;
  };
  for (const name of names) {
    const { width } = context.measureText(name);
    if (x + width > limit) break;
    draw(name, width);
    more--;
  }
  if (more === forks.count[fork]) draw(count(more, "other"), 0);
  else if (more > 0) context.fillText(`+${count(more)}`, x - 6 * scale, y + 0.5);
  context.globalAlpha = 1;
  return end;
}

/** The links: straight on to what stands beside, and down to what stands below. */
function paintTrunks(context: Context, picture: LinkPicture, first: number, end: number, ends: Float64Array): void {
  const { layout, scene, height } = picture;
  const { theme } = scene;
  const isFork = (place: number) => scene.forks !== null && layout.node[place] >= 0 && decides(picture, place);
  const link = (place: number, ghost: boolean, draw: () => void) => {
    const fork = isFork(place) && !ghost;
    context.strokeStyle = fork ? theme.family.decision : theme.dim;
    context.globalAlpha = fork ? 0.9 : 0.5;
    context.lineWidth = fork ? 2 : 1;
    context.setLineDash(ghost ? DASH : []);
    context.beginPath();
    draw();
    context.stroke();
  };
  const trunk = (place: number) => Math.round(picture.x(layout.level[place] + 1) - TRUNK) + 0.5;
  /** Down from a parent, to the child at `to` or out of the view. */
  const down = (place: number, to: number, ghost: boolean) => {
    const x = trunk(place);
    const top = picture.y(layout.line[place]) + (ends[place - first] > x ? picture.viewport.rowHeight / 2 - 2 : 0);
    const bottom = picture.y(layout.line[to]);
    if (bottom < -BEND || layout.line[to] === layout.line[place]) return;
    link(place, ghost, () => {
      context.moveTo(x, Math.max(-2, top));
      context.lineTo(x, Math.min(height + 2, bottom - BEND));
      if (bottom > height + BEND) return;
      context.quadraticCurveTo(x, bottom, x + BEND, bottom);
      context.lineTo(picture.x(layout.level[to]) - radiusAt(picture, to), bottom);
    });
  };
  const fromParent = (place: number, last: number) => {
    if (layout.node[last] >= 0) return down(place, last, false);
    const solid = lastSolid(layout, place);
    if (solid >= 0) down(place, solid, false);
    down(place, last, true);
  };
  for (let above = first < end ? layout.parent[first] : -1; above >= 0; above = layout.parent[above]) {
    if (layout.last[above] >= first) fromParent(above, layout.last[above]);
  }
  for (let place = first; place < end; place++) {
    const above = layout.parent[place];
    const y = picture.y(layout.line[place]);
    if (above >= 0 && layout.line[above] === layout.line[place]) {
      const start = Math.min(ends[above - first], picture.x(layout.level[place]) - radiusAt(picture, place));
      link(above, false, () => {
        context.moveTo(start, y);
        context.lineTo(picture.x(layout.level[place]) - radiusAt(picture, place), y);
      });
    } else if (above >= 0 && layout.last[above] !== place && layout.node[place] >= 0) {
      const x = trunk(above);
      link(above, false, () => {
        context.moveTo(x, y - BEND);
        context.quadraticCurveTo(x, y, x + BEND, y);
        context.lineTo(picture.x(layout.level[place]) - radiusAt(picture, place), y);
      });
    }
    const last = layout.last[place];
    if (last < 0) continue;
    if (!layout.leads(place) && ends[place - first] < trunk(place)) {
      // Nothing was chosen: the way to the alternatives begins at the label.
      link(place, true, () => {
        context.moveTo(ends[place - first], y);
        context.lineTo(trunk(place), y);
      });
    }
    fromParent(place, last);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function decides({ scene, layout }: LinkPicture, place: number): boolean {
  return (
    scene.family(layout.node[place]) === "decision" &&
    EVENT_TYPES[scene.columns.kind[layout.node[place]]] === "decision"
  );
}

function radiusAt(picture: LinkPicture, place: number): number {
  const row = picture.layout.node[place];
  return row < 0 ? 5 * picture.scale : picture.radius(row) + 2;
}

/** The last child but the alternatives; -1 without one. */
function lastSolid({ first, next, node, place }: LinkPicture["layout"], parent: number): number {
  let child = first[node[parent]];
  while (child >= 0 && next[child] >= 0) child = next[child];
  return child < 0 ? -1 : place[child];
}

/** Where labels do not fit: at most about 2,000 marks, in each cell the one that matters most. */
function paintMarks(context: Context, picture: LinkPicture, first: number, end: number): void {
  const { layout, scene, viewport, height, map } = picture;
  const { theme } = scene;
  const least = Math.max(2, viewport.rowHeight);
  const lines = Math.ceil(height / least) + 1;
  const cells = Math.max(4, Math.floor(MOST_MARKS / lines));
  const best = new Int32Array(lines * cells).fill(-1);
  for (let place = first; place < end; place++) {
    if (layout.node[place] < 0) continue;
    const x = picture.x(layout.level[place]);
    if (x < 0 || x > map) continue;
    const cell = Math.floor(picture.y(layout.line[place]) / least) * cells + Math.floor((x / map) * (cells - 1));
    if (best[cell] < 0 || rankAt(picture, place) > rankAt(picture, best[cell])) best[cell] = place;
  }
  const size = Math.max(2, Math.min(9, least - 1));
  for (const place of best) {
    if (place < 0) continue;
    const row = layout.node[place];
    const rank = rankAt(picture, place);
    const [x, y] = [picture.x(layout.level[place]), picture.y(layout.line[place])];
    const wide = rank >= SUSPECT_RANK ? size + 5 : size * (0.7 + (0.6 * scene.columns.importance[row]) / 255);
    context.globalAlpha = rank >= SUSPECT_RANK ? 1 : scene.isLater(row) || !scene.outline.matches(row) ? 0.25 : 0.6;
    context.fillStyle =
      rank === SUSPECT_RANK ? theme.suspect : theme.family[rank === FAILED_RANK ? "risk" : scene.family(row)];
    context.fillRect(x - wide / 2, y - size / 2, wide, size);
    if (scene.selected.has(row)) {
      context.globalAlpha = 1;
      context.strokeStyle = theme.accent;
      context.lineWidth = 2;
      context.strokeRect(x - wide / 2 - 2, y - size / 2 - 2, wide + 4, size + 4);
    }
  }
  context.globalAlpha = 1;
}
