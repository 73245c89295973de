/** The messages of a model call, read as a conversation; what the model had answered before is folded away. */
import { element } from "./dom";
import { count } from "./format";
import { jsonTree } from "./json";
import { longText, type More } from "./longtext";
import type { Message, ToolCall } from "./wire";

export function conversation(messages: Message[], more: More): HTMLElement {
  const firstNew = messages.findIndex((message) => message.new);
  const known = firstNew > 2 ? messages.slice(0, firstNew) : [];
  const turns = messages.slice(known.length).map((message) => turn(message, more));
  const box = element("div", "pp-conversation");
  if (known.length > 0) {
    const earlier = element("details", "pp-earlier");
    earlier.append(element("summary", "pp-dim", count(known.length, "earlier message")));
    earlier.addEventListener("toggle", () => earlier.append(...known.map((message) => turn(message, more))), {
      once: true,
    });
    box.append(earlier);
  }
  box.append(...turns);
  return box;
}

export function turn(message: Message, more: More): HTMLElement {
  const who = [message.role, message.name].filter(Boolean).join(" · ");
  const made = element("div", "pp-turn", element("div", "pp-role", who));
  made.dataset.role = message.role;
  if (message.thinking) made.append(longText(message.thinking, more, "pp-text pp-thinking"));
  if (message.text) made.append(longText(message, more));
  for (const call of message.tool_calls ?? []) made.append(toolCall(call, more));
  return made;
}

function toolCall(call: ToolCall, more: More): HTMLElement {
  return element("div", "pp-call", element("div", "pp-call-name", call.name), jsonTree(call.arguments, more));
}
