/** Numbers as people read them; the same words as `peaky_peek/widgets/_text.py`. Unknown is nothing, never 0. */

type Unknown = number | null | undefined;

function known(value: Unknown): value is number {
  return value !== null && value !== undefined && !Number.isNaN(value);
}

export function duration(ms: Unknown): string {
  if (!known(ms)) return "";
  if (ms < 10) return `${Number(ms.toPrecision(2))} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const padded = (n: number) => String(n).padStart(2, "0");
  return minutes < 60
    ? `${minutes} m ${padded(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${padded(minutes % 60)} m`;
}

export function cost(usd: Unknown): string {
  if (!known(usd)) return "";
  if (usd >= 1) return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  if (usd >= 0.0001) return `$${usd.toFixed(4)}`;
  if (usd >= 0.000001) return `$${usd.toFixed(6)}`;
  return usd === 0 ? "$0" : "< $0.000001";
}

export function count(n: number, noun?: string): string {
  const digits = n.toLocaleString("en-US");
  return noun ? `${digits} ${noun}${n === 1 ? "" : "s"}` : digits;
}
