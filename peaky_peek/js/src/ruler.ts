/** The ruler at the right edge: all that is shown in one strip, its failures and suspects, and where the view is. */
import type { Context } from "./canvas";
import { type Geometry, HEADER, RULER } from "./geometry";
import { FAILED_RANK, SUSPECT_RANK } from "./layout";
import type { Scene } from "./scene";

const TICK = 2;

export function paintRuler(context: Context, scene: Scene, geometry: Geometry, bottom: number): void {
  const { theme, viewport } = scene;
  const height = bottom - HEADER;
  const x = geometry.ruler;
  context.fillStyle = theme.line;
  context.globalAlpha = 0.5;
  context.fillRect(x, HEADER, 1, height);
  const { start, size } = viewport.window;
  if (size < 1) {
    context.fillStyle = theme.dim;
    context.globalAlpha = 0.35;
    const thumb = Math.max(24, size * height);
    context.fillRect(x + 2, HEADER + Math.min(start * height, height - thumb), RULER - 4, thumb);
  }
  context.globalAlpha = 1;
  const reach = size < 1 ? height : scene.outline.count * viewport.rowHeight;
  const ticks = ticksOf(scene, Math.max(1, Math.ceil(reach / TICK)));
  for (const [rank, color, inset] of [
    [SUSPECT_RANK, theme.suspect, 4],
    [FAILED_RANK, theme.family.risk, 2],
  ] as const) {
    context.fillStyle = color;
    ticks.forEach((worst, i) => {
      if (worst === rank) context.fillRect(x + inset, HEADER + i * TICK, RULER - 2 * inset, TICK);
    });
  }
  context.fillStyle = theme.accent;
  for (const row of [...scene.selected].slice(0, 100)) {
    const place = scene.outline.place[row];
    if (place >= 0) context.fillRect(x, HEADER + (place / scene.outline.count) * reach, 4, 3);
  }
}

const cache = new WeakMap<object, { key: string; ticks: Uint8Array }>();

/** The highest rank in each of `n` equal parts of what is shown. */
function ticksOf({ outline }: Scene, n: number): Uint8Array {
  const key = `${outline.version} ${n}`;
  const known = cache.get(outline);
  if (known?.key === key) return known.ticks;
  const ticks = new Uint8Array(n);
  for (let place = 0; place < outline.count; place++) {
    const i = Math.floor((place / outline.count) * n);
    if (outline.rank[place] > ticks[i]) ticks[i] = outline.rank[place];
  }
  cache.set(outline, { key, ticks });
  return ticks;
}
