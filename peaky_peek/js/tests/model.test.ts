import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Model } from "../src/model";

function kernel() {
  const handlers = new Set<(...args: unknown[]) => void>();
  const sent: unknown[] = [];
  const model = new Model({
    get: () => undefined,
    set() {},
    save_changes() {},
    on: (_event, handler) => handlers.add(handler as never),
    off: (_event, handler) => handlers.delete(handler as never),
    send: (message) => sent.push(message),
  });
  return {
    model,
    handlers,
    sent,
    say: (message: unknown) => [...handlers].forEach((handler) => void handler(message)),
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const details = (row: number) => ({ type: "details", row, title: "", facts: [], sections: [] });

test("a question gets its own answer, and only once", () => {
  const { model, handlers, sent, say } = kernel();
  const [answered, failed] = [vi.fn(), vi.fn()];
  model.ask({ type: "details", row: 3 }, ({ row }) => row === 3, answered, failed);
  expect(sent).toEqual([{ type: "details", row: 3 }]);
  say(details(2));
  say({ type: "previews", start: 3, texts: [] });
  expect(answered).not.toHaveBeenCalled();
  say(details(3));
  say(details(3));
  vi.runAllTimers();
  expect(answered).toHaveBeenCalledOnce();
  expect(failed).not.toHaveBeenCalled();
  expect(handlers.size).toBe(0);
});

test("after five seconds of silence there is a sentence, and a late answer still counts", () => {
  const { model, say } = kernel();
  const [answered, failed] = [vi.fn(), vi.fn()];
  model.ask({ type: "details", row: 3 }, ({ row }) => row === 3, answered, failed);
  vi.advanceTimersByTime(4_999);
  expect(failed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(failed).toHaveBeenCalledWith(expect.stringContaining("has not answered"));
  say(details(3));
  expect(answered).toHaveBeenCalledOnce();
});

test("an error that repeats the question ends the waiting with its sentence", () => {
  const { model, handlers, say } = kernel();
  const failed = vi.fn();
  model.ask({ type: "details", row: 3 }, () => true, vi.fn(), failed);
  say({ type: "error", message: "about another", request: { type: "details", row: 4 } });
  expect(failed).not.toHaveBeenCalled();
  say({ type: "error", message: "The step is gone.", request: { type: "details", row: 3 } });
  expect(failed).toHaveBeenCalledWith("The step is gone.");
  expect(handlers.size).toBe(0);
});

test("who stops waiting leaves nothing behind", () => {
  const { model, handlers } = kernel();
  const failed = vi.fn();
  model.ask({ type: "details", row: 3 }, () => true, vi.fn(), failed)();
  vi.runAllTimers();
  expect(failed).not.toHaveBeenCalled();
  expect(handlers.size).toBe(0);
});
