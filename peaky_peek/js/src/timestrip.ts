/** All of a timeline in one strip: where much was under way, where something failed, and what is in view. */
import type { Context } from "./canvas";
import { FAILED_RANK, SUSPECT_RANK, type Swimlanes } from "./swimlanes";
import type { Picture } from "./timepaint";

export const STRIP = 26;

/** Every step from beginning to end, failures and suspects on top, and the part that is in view. */
export function paintStrip(context: Context, picture: Picture, width: number, top: number): void {
  const { lanes, scale, theme, origin, moment } = picture;
  context.fillStyle = theme.background;
  context.fillRect(0, top, width, STRIP);
  context.fillStyle = theme.line;
  context.fillRect(0, top, width, 1);
  const room = scale.width;
  const parts = Math.max(1, Math.floor(room / 2));
  const { busy, rank } = density(lanes, parts);
  for (let part = 0; part < parts; part++) {
    const tall = Math.min(1, busy[part]) * 12;
    context.fillStyle = theme.dim;
    context.globalAlpha = 0.45;
    context.fillRect(origin + part * 2, top + STRIP - 4 - tall, 1.5, tall);
    context.globalAlpha = 1;
    if (rank[part] < SUSPECT_RANK) continue;
    context.fillStyle = rank[part] === FAILED_RANK ? theme.family.risk : theme.suspect;
    context.fillRect(origin + part * 2 - 0.5, top + 4, 3, STRIP - 8);
  }
  if (!Number.isNaN(moment)) {
    context.fillStyle = theme.accent;
    context.fillRect(origin + (moment / lanes.total) * room - 1, top + 1, 2, STRIP - 1);
  }
  if (scale.isWhole) return;
  const [from, to] = [scale.moment(0) / lanes.total, scale.moment(room) / lanes.total];
  context.strokeStyle = theme.accent;
  context.lineWidth = 1.5;
  context.fillStyle = theme.accent;
  context.globalAlpha = 0.12;
  context.fillRect(origin + from * room, top + 1, Math.max(4, (to - from) * room), STRIP - 2);
  context.globalAlpha = 1;
  context.strokeRect(origin + from * room, top + 1.5, Math.max(4, (to - from) * room), STRIP - 3);
}

const cache = new WeakMap<Swimlanes, { parts: number; busy: Float32Array; rank: Float32Array }>();

/** How much is under way in each of equal parts of the time, and the worst that began there. */
function density(lanes: Swimlanes, parts: number): { busy: Float32Array; rank: Float32Array } {
  const known = cache.get(lanes);
  if (known?.parts === parts) return known;
  const busy = new Float32Array(parts + 1);
  const rank = new Float32Array(parts + 1);
  const part = (moment: number) => Math.min(parts - 1, Math.max(0, Math.floor((moment / lanes.total) * parts)));
  for (const row of lanes.inTime) {
    const [from, to] = [part(lanes.begin[row]), part(lanes.end[row])];
    rank[from] = Math.max(rank[from], lanes.rank(row));
    if (lanes.isSpan(row)) continue;
    busy[from] += 0.34;
    busy[to + 1] -= 0.34;
  }
  for (let at = 1; at <= parts; at++) busy[at] += busy[at - 1];
  const found = { parts, busy, rank };
  cache.set(lanes, found);
  return found;
}
