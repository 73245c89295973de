/**
 * Keeps the picture in the notebook. JupyterLab saves the state of widgets only when a setting is on, and where it did not,
 * it shows an error in their place the next day. Front ends without such a manager save it, or not, by themselves.
 */
const MIME = "application/vnd.jupyter.widget-state+json";

interface Entry {
  state: Record<string, unknown>;
}

interface Saved {
  state: Record<string, Entry>;
}

interface LabManager {
  get_state_sync(options: { drop_defaults: boolean }): Saved;
  context: {
    model: {
      getMetadata(name: string): { [MIME]?: Saved } | undefined;
      setMetadata(name: string, value: unknown): void;
    };
    saveState: { connect(slot: (context: unknown, stage: string) => void): void };
  };
}

const kept = new WeakSet<LabManager>();

/** Writes our widgets' state into the notebook whenever it is saved; the widgets of others are left as they are. */
export function keepInNotebook(manager: unknown): void {
  if (!isLab(manager) || kept.has(manager)) return;
  kept.add(manager);
  const { model, saveState } = manager.context;
  saveState.connect((_context, stage) => {
    if (stage !== "started") return;
    const now = manager.get_state_sync({ drop_defaults: true });
    const before = model.getMetadata("widgets") ?? {};
    const state: Record<string, Entry> = {};
    for (const [id, entry] of Object.entries(before[MIME]?.state ?? {})) if (!isOurs(entry)) state[id] = entry;
    for (const [id, entry] of Object.entries(now.state)) if (isOurs(entry)) state[id] = alone(entry);
    model.setMetadata("widgets", { ...before, [MIME]: { ...now, state } });
  });
}

/** The entry without its layout, a second widget, which says nothing about ours. */
function alone(entry: Entry): Entry {
  const { layout: _, ...state } = entry.state;
  return { ...entry, state };
}

function isLab(manager: unknown): manager is LabManager {
  const { get_state_sync, context } = (manager ?? {}) as Partial<LabManager>;
  return !!get_state_sync && !!context?.saveState?.connect && !!context.model?.setMetadata;
}

function isOurs({ state }: Entry): boolean {
  return String(state._anywidget_id).startsWith("peaky_peek.");
}
