/** The parts of a step that take reading, each drawn as what it is. */
import { conversation } from "./conversation";
import { element } from "./dom";
import { jsonTree } from "./json";
import { longText, type More } from "./longtext";
import type { Section } from "./wire";

export function sectionElement(section: Section, more: More): HTMLElement {
  const details = element("details", "pp-section", element("summary", "", section.title));
  details.open = section.open ?? true;
  details.append(body(section, more));
  return details;
}

function body(section: Section, more: More): HTMLElement {
  switch (section.kind) {
    case "messages":
      return conversation(section.messages, more);
    case "json":
      return jsonTree(section.value, more);
    case "code":
      return longText(section, more, "pp-code");
    case "text":
      return longText(section, more);
    case "error": {
      const box = element("div", "pp-error");
      if (section.error_type) box.append(element("div", "pp-error-type", section.error_type));
      box.append(longText(section.message, more));
      if (section.trace) box.append(longText(section.trace, more, "pp-code"));
      return box;
    }
  }
}
