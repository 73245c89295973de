/** Which step of a timeline is meant: by a place of the canvas, and in words. */
import { count, duration } from "./format";
import type { Swimlanes } from "./swimlanes";
import { oneLine } from "./text";
import { AXIS, BAR, firstInView, laneHeight, levelTop, type Picture } from "./timepaint";
import { STRIP } from "./timestrip";
import { typeLabel } from "./vocabulary";
import { FAILED, SUSPECT } from "./wire";

const NEAR = 8;
/** So many pixels nearer a failure is than it looks. */
const DRAWN_TO = 2;

/** The step at a place of a canvas, the nearest within a few pixels; -1 for none. */
export function rowAt(picture: Picture, x: number, y: number, height: number): number {
  const { lanes, scale, gutter, origin, mask } = picture;
  if (x < gutter || y < AXIS || y > height - STRIP) return -1;
  const rows = levelAt(picture, y);
  const last = scale.moment(x - origin + NEAR);
  let best = -1;
  let nearest = NEAR;
  for (let at = firstInView(lanes, rows, scale.moment(x - origin - NEAR)); at < rows.length; at++) {
    const row = rows[at];
    if (lanes.begin[row] > last) break;
    const [from, to] = [origin + scale.x(lanes.begin[row]), origin + scale.x(lanes.end[row])];
    const far = Math.max(0, from - x, x - to) - (lanes.columns.flags[row] & FAILED ? DRAWN_TO : 0);
    if (far < nearest && (!mask || mask[row])) [best, nearest] = [row, far];
  }
  return best;
}

function levelAt(picture: Picture, y: number): readonly number[] {
  const { lanes, gutter, scrolled } = picture;
  let top = AXIS - scrolled;
  for (let lane = 0; lane < lanes.lanes.length; lane++) {
    const tall = laneHeight(lanes, gutter, lane);
    if (y < top + tall) {
      const isHere = (level: number) => Math.abs(y - AXIS - levelTop(picture, lane, level) - BAR / 2) <= BAR / 2 + 1.5;
      return lanes.lanes[lane].levels.find((_, level) => isHere(level)) ?? [];
    }
    top += tall;
  }
  return [];
}

/** One sentence about a step: what a sighted reader takes from its bar and where it is. */
export function describe(lanes: Swimlanes, row: number, isTimed: boolean): string {
  const { columns } = lanes;
  const flags = columns.flags[row];
  const parts = [
    oneLine(columns.name(row)),
    typeLabel(columns.kind[row]),
    flags & FAILED ? "failed" : flags & SUSPECT ? "suspect" : "",
    columns.durationText(row),
    columns.costText(row),
    isTimed ? `at ${duration(lanes.begin[row]) || "0"}` : "",
    lanes.lanes.length > 1 ? `in the lane of ${oneLine(lanes.lanes[lanes.laneOf[row]].name)}` : "",
    `${count(lanes.place[row] + 1)} of ${count(columns.rows)}`,
  ];
  return parts.filter(Boolean).join(", ");
}
