/** How a timeline is painted: the axis, lanes with their bars, arrows from lane to lane. */
import type { Context } from "./canvas";
import { drawFailed, drawIcon, drawSuspect } from "./icons";
import { SUSPECT_RANK, type Swimlanes } from "./swimlanes";
import { ellipsis, oneLine } from "./text";
import type { Theme } from "./theme";
import type { TimeScale } from "./timescale";
import { paintStrip, STRIP } from "./timestrip";
import { familyOf } from "./vocabulary";
import { DERIVED, FAILED, RUNNING } from "./wire";

export const AXIS = 22;
const PITCH = 17;
export const BAR = 14;
const PAD = 5;
const LABEL = 14;
/** Narrower bars share a column of so many pixels; the one that matters most stands for it. */
const COLUMN = 3;
const TEXT = 34;
const MARKS = 4_000;
/** The room of an icon. */
const FREE = 9;

export interface Picture {
  readonly lanes: Swimlanes;
  readonly scale: TimeScale;
  readonly theme: Theme;
  readonly selected: ReadonlySet<number>;
  readonly mask: Uint8Array | null;
  readonly cursor: number;
  readonly hover: number;
  readonly focused: boolean;
  /** The moment that time stands at; NaN for none. */
  readonly moment: number;
  /** Of the names of the lanes, at the left; 0 when they stand above their lanes. */
  readonly gutter: number;
  /** Where time begins, in pixels. */
  readonly origin: number;
  readonly scrolled: number;
}

export function laneTop({ lanes, gutter }: Picture, lane: number): number {
  let top = 0;
  for (let above = 0; above < lane; above++) top += laneHeight(lanes, gutter, above);
  return top;
}

export function laneHeight(lanes: Swimlanes, gutter: number, lane: number): number {
  return Math.max(1, lanes.lanes[lane].levels.length) * PITCH + 2 * PAD + (gutter === 0 ? LABEL : 0);
}

export function lanesHeight(lanes: Swimlanes, gutter: number): number {
  return lanes.lanes.reduce((sum, _, lane) => sum + laneHeight(lanes, gutter, lane), 0);
}

/** The top of a level of a lane, below the axis. */
export function levelTop(picture: Picture, lane: number, level: number): number {
  const label = picture.gutter === 0 ? LABEL : 0;
  return laneTop(picture, lane) - picture.scrolled + PAD + label + level * PITCH;
}

export function paint(context: Context, picture: Picture, width: number, height: number): void {
  const { theme, gutter } = picture;
  const bottom = height - STRIP;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.save();
  context.beginPath();
  context.rect(0, AXIS, width, bottom - AXIS);
  context.clip();
  context.translate(0, AXIS);
  paintPauses(context, picture, bottom - AXIS);
  paintLanes(context, picture, width, bottom - AXIS);
  context.restore();
  paintMoment(context, picture, width, bottom);
  paintAxis(context, picture, width);
  paintStrip(context, picture, width, bottom);
  context.fillStyle = theme.line;
  if (gutter > 0) context.fillRect(gutter, 0, 1, bottom);
}

function paintAxis(context: Context, { scale, theme, gutter, origin, lanes }: Picture, width: number): void {
  context.fillStyle = theme.background;
  context.fillRect(0, 0, width, AXIS);
  context.fillStyle = theme.line;
  context.fillRect(0, AXIS - 1, width, 1);
  context.font = `11px ${theme.font}`;
  if (gutter > 0) {
    context.fillStyle = theme.dim;
    context.fillText(lanes.lanes.length === 1 ? "Agent" : `${lanes.lanes.length} agents`, 10, AXIS / 2);
  }
  for (const { x, label } of scale.ticks()) {
    context.fillStyle = theme.line;
    context.fillRect(origin + x, AXIS - 6, 1, 5);
    context.fillStyle = theme.dim;
    if (origin + x + context.measureText(label).width + 8 < width)
      context.fillText(label, origin + x + 4, AXIS / 2 - 1);
  }
}

function paintPauses(context: Context, { scale, theme, origin }: Picture, height: number): void {
  context.fillStyle = theme.line;
  for (const { from, to } of scale.pauses) {
    const [x, end] = [origin + scale.x(from), origin + scale.x(to)];
    context.globalAlpha = 0.35;
    context.fillRect(x, 0, Math.max(1, end - x), height);
    context.globalAlpha = 1;
  }
}

function paintLanes(context: Context, picture: Picture, width: number, height: number): void {
  const { lanes, theme, gutter, scrolled } = picture;
  let top = -scrolled;
  lanes.lanes.forEach((lane, number) => {
    const tall = laneHeight(lanes, gutter, number);
    if (top + tall > 0 && top < height) {
      context.fillStyle = theme.line;
      context.globalAlpha = 0.6;
      context.fillRect(0, top + tall - 1, width, 1);
      context.globalAlpha = 1;
      context.save();
      context.beginPath();
      context.rect(gutter, top, width - gutter, tall);
      context.clip();
      lane.levels.forEach((rows, level) => {
        paintLevel(context, picture, rows, levelTop(picture, number, level), width);
      });
      context.restore();
      context.fillStyle = theme.text;
      context.font = `600 12px ${theme.font}`;
      const room = (gutter || width) - 16;
      const name = ellipsis(oneLine(lane.name), room, (text) => context.measureText(text).width);
      context.fillText(name, 10, gutter > 0 ? top + PAD + PITCH / 2 : top + PAD + 5);
    }
    top += tall;
  });
  paintHandoffs(context, picture);
}

/** Bars that are wide enough one by one; of the others one for each few pixels, a failed one before all. */
function paintLevel(context: Context, picture: Picture, rows: readonly number[], y: number, width: number): void {
  const { lanes, scale, origin } = picture;
  const { begin, end } = lanes;
  const toX = scale.toX;
  const column = columnWidth(picture, width);
  let here = -1;
  let best = -1;
  const flush = () => {
    if (best >= 0) paintColumn(context, picture, best, origin + here * column, y, column);
    best = -1;
  };
  const first = firstInView(lanes, rows, scale.moment(-origin));
  const last = scale.moment(width - origin);
  let before = first > 0 ? toX(end[rows[first - 1]]) : Number.NEGATIVE_INFINITY;
  for (let at = first; at < rows.length && begin[rows[at]] <= last; at++) {
    const row = rows[at];
    const x = toX(begin[row]);
    const wide = toX(end[row]) - x;
    const next = at + 1 < rows.length ? toX(begin[rows[at + 1]]) : Number.POSITIVE_INFINITY;
    const isAlone = wide >= column || (x - before > FREE && next - x > FREE);
    const place = Math.floor(x / column);
    if (place !== here || isAlone) flush();
    here = place;
    if (isAlone) paintBar(context, picture, row, { x: origin + x, y, wide, next: origin + next }, width);
    else if (best < 0 || weight(picture, row) > weight(picture, best)) best = row;
    before = x + wide;
  }
  flush();
}

/** Wider where many levels are in view, so that a frame has some thousand marks and no more. */
function columnWidth({ lanes }: Picture, width: number): number {
  const levels = lanes.lanes.reduce((sum, lane) => sum + lane.levels.length, 0);
  return Math.max(COLUMN, Math.min(2 * COLUMN, Math.ceil((levels * width) / MARKS)));
}

function weight({ lanes, mask, selected }: Picture, row: number): number {
  return (mask && !mask[row] ? -10 : 0) + (selected.has(row) ? 2.5 : 0) + lanes.rank(row);
}

/** Of rows that follow each other, the first that is not over by then, or lies over one that is not. */
export function firstInView(lanes: Swimlanes, rows: readonly number[], moment: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lanes.over[rows[middle]] < moment) low = middle + 1;
    else high = middle;
  }
  return low;
}

function paintColumn(context: Context, picture: Picture, row: number, x: number, y: number, wide: number): void {
  const { lanes, theme, mask, selected } = picture;
  const rank = lanes.rank(row);
  context.globalAlpha = mask && !mask[row] ? 0.15 : rank >= SUSPECT_RANK ? 1 : 0.55;
  context.fillStyle = rank === SUSPECT_RANK ? theme.suspect : colour(picture, row);
  context.fillRect(x, y, wide - (rank >= SUSPECT_RANK ? 0 : 0.5), BAR);
  context.globalAlpha = 1;
  if (!selected.has(row)) return;
  context.fillStyle = theme.accent;
  context.fillRect(x - 1, y - 2, wide + 2, 3);
}

interface Place {
  x: number;
  y: number;
  wide: number;
  /** Where the next of its level begins. */
  next: number;
}

function paintBar(context: Context, picture: Picture, row: number, place: Place, width: number): void {
  const { x, y, wide, next } = place;
  const { lanes, theme, mask, selected, hover, cursor, focused } = picture;
  const { flags, kind, name } = lanes.columns;
  const failed = (flags[row] & FAILED) > 0;
  const isPoint = wide < COLUMN;
  const [left, right] = [Math.max(picture.gutter - 2, x), Math.min(width + 2, x + wide)];
  context.globalAlpha = mask && !mask[row] ? 0.15 : 1;
  const shade = context.globalAlpha;
  context.fillStyle = context.strokeStyle = colour(picture, row);
  if (isPoint) {
    drawIcon(context, familyOf(kind[row], failed), x, y + BAR / 2, 5, (flags[row] & DERIVED) > 0);
  } else {
    context.globalAlpha = shade * (lanes.isSpan(row) ? 0.1 : row === hover ? 0.42 : 0.28);
    context.fillRect(left, y, right - left, BAR);
    context.globalAlpha = shade;
    context.fillRect(left, y, Math.min(2, right - left), BAR);
    if (flags[row] & RUNNING) paintOpenEnd(context, right, y);
  }
  let text = left + 6;
  if (!isPoint && wide > 12 && failed) {
    drawFailed(context, left + 9, y + BAR / 2, 4);
    text += 11;
  } else if (!isPoint && wide > 12 && lanes.rank(row) === SUSPECT_RANK) {
    context.strokeStyle = theme.suspect;
    drawSuspect(context, left + 10, y + BAR / 2, 4);
    text += 12;
  }
  const free = Math.min(right, next); // in the last level of a lane bars lie over each other, their names do not
  const isInside = free - text > TEXT;
  if (!isInside) text = Math.max(text, (isPoint ? x + 5 : right) + 4);
  const room = (isInside ? free : Math.min(next - 8, width)) - text - 4;
  if (room > TEXT) {
    context.font = `11px ${theme.font}`;
    context.fillStyle = failed ? theme.family.risk : theme.text;
    const shown = ellipsis(oneLine(name(row)), room, (said) => context.measureText(said).width);
    context.fillText(shown, text, y + BAR / 2 + 0.5);
  }
  context.globalAlpha = 1;
  if (selected.has(row) || (focused && cursor === row)) {
    context.strokeStyle = theme.accent;
    context.lineWidth = 2;
    const [from, to] = isPoint ? [x - 7, x + 7] : [left, Math.max(left + 3, right)];
    context.strokeRect(from, y - 1, to - from, BAR + 2);
  }
}

/** Three fading dashes: it goes on. */
function paintOpenEnd(context: Context, right: number, y: number): void {
  for (let dash = 0; dash < 3; dash++) {
    context.globalAlpha = 0.75 - dash * 0.2;
    context.fillRect(right - 4 - dash * 5, y, 3, BAR);
  }
  context.globalAlpha = 1;
}

function colour({ lanes, theme }: Picture, row: number): string {
  return theme.family[familyOf(lanes.columns.kind[row], (lanes.columns.flags[row] & FAILED) > 0)];
}

/** An arrow from the lane of who hands over to that of who takes it up; where several fall together, one. */
function paintHandoffs(context: Context, picture: Picture): void {
  const { lanes, scale, theme, gutter, origin } = picture;
  const drawn = new Map<number, number>();
  const toX = scale.toX;
  context.strokeStyle = context.fillStyle = theme.dim;
  context.lineWidth = 1.2;
  for (const { row, from, to } of lanes.handoffs) {
    const x = Math.round(origin + toX(lanes.begin[row])) + 0.5;
    const pair = from * 65_536 + to;
    if (x < gutter || x > origin + scale.width || x - (drawn.get(pair) ?? Number.NEGATIVE_INFINITY) < 6) continue;
    drawn.set(pair, x);
    const isDown = to > from;
    const start = levelTop(picture, from, 0) + BAR / 2;
    const end = levelTop(picture, to, lanes.laneOf[row] === to ? lanes.level[row] : 0) + (isDown ? -1 : BAR + 1);
    const tip = isDown ? -5 : 5;
    context.beginPath();
    context.moveTo(x, start);
    context.lineTo(x, end + tip);
    context.stroke();
    context.beginPath();
    context.arc(x, start, 2.2, 0, 2 * Math.PI);
    context.moveTo(x, end);
    context.lineTo(x - 3.5, end + tip * 1.2);
    context.lineTo(x + 3.5, end + tip * 1.2);
    context.fill();
  }
}

function paintMoment(
  context: Context,
  { scale, theme, gutter, origin, moment }: Picture,
  width: number,
  bottom: number,
): void {
  if (Number.isNaN(moment)) return;
  const x = Math.max(gutter, origin + scale.x(moment));
  context.fillStyle = theme.background;
  context.globalAlpha = 0.55;
  context.fillRect(x, AXIS, width - x, bottom - AXIS);
  context.globalAlpha = 1;
  context.fillStyle = theme.accent;
  if (x <= width) context.fillRect(x - 1, AXIS, 2, bottom - AXIS);
}
