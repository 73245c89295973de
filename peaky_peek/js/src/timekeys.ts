/** What the keys do on a timeline: steps in time, from lane to lane, and a few letters more. */
import type { Swimlanes } from "./swimlanes";

export interface Place {
  lanes: Swimlanes;
  mask: Uint8Array | null;
  cursor: number;
}

export interface TimeCommands {
  walk(row: number): void;
  inspect(): void;
  escape(): void;
  focusFilter(): void;
  nextFailure(): void;
  /** Shortens pauses, or no longer. */
  bend(): void;
  /** Moves time to where the keyboard is, or lets it go. */
  moment(): void;
  zoom(factor: number): void;
  resetZoom(): void;
}

/** Returns whether the key meant something here. */
export function pressTime(event: KeyboardEvent, place: Place, to: TimeCommands): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const walk = (row: number | undefined) => {
    if (row !== undefined) to.walk(row);
  };
  const { inTime } = place.lanes;
  const keys: Record<string, () => void> = {
    ArrowRight: () => walk(step(place, 1)),
    ArrowLeft: () => walk(step(place, -1)),
    ArrowDown: () => walk(cross(place, 1)),
    ArrowUp: () => walk(cross(place, -1)),
    Home: () => walk(inTime[0]),
    End: () => walk(inTime[inTime.length - 1]),
    Enter: to.inspect,
    Escape: to.escape,
    "/": to.focusFilter,
    n: to.nextFailure,
    g: to.bend,
    p: to.moment,
    "+": () => to.zoom(1.25),
    "=": () => to.zoom(1.25),
    "-": () => to.zoom(0.8),
    "0": to.resetZoom,
  };
  const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
  if (!act || (inTime.length === 0 && event.key !== "/" && event.key !== "Escape")) return false;
  act();
  return true;
}

/** The next step in time, of this lane. */
export function step({ lanes, mask, cursor }: Place, way: 1 | -1): number | undefined {
  for (let at = lanes.place[cursor] + way; at >= 0 && at < lanes.inTime.length; at += way) {
    const row = lanes.inTime[at];
    if (lanes.laneOf[row] === lanes.laneOf[cursor] && (!mask || mask[row])) return row;
  }
  return undefined;
}

/** The step of the next lane that began nearest to this one. */
export function cross({ lanes, mask, cursor }: Place, way: 1 | -1): number | undefined {
  const far = (row: number) => Math.abs(lanes.begin[row] - lanes.begin[cursor]);
  for (let lane = lanes.laneOf[cursor] + way; lane >= 0 && lane < lanes.lanes.length; lane += way) {
    let best = -1;
    for (const row of lanes.lanes[lane].levels.flat()) {
      if ((!mask || mask[row]) && (best < 0 || far(row) < far(best))) best = row;
    }
    if (best >= 0) return best;
  }
  return undefined;
}
