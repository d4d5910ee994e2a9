// What a name means, beside it as long as the pointer or the keyboard is there.

function hinted(element, text) {
  if (text) element.dataset.hint = text;
  return element;
}

const about = (s) => [s.about, `${s.axis}, one number ${s.unit === "set" ? "a checkpoint" : `each ${s.unit}`}; ${s.higher ? "higher" : "lower"} is better${s.scale ? `; ${s.scale}` : ""}.`].filter(Boolean).join(" ");
const meaning = (tag) => (content.tagMeanings[tag] ? `${tag}: ${content.tagMeanings[tag]}.` : "");

// A tag's name; reached by the keyboard where there is more to say.
const tagged = (tag, attributes = {}) => hinted(foreign(tag, { ...attributes, tabindex: content.tagMeanings[tag] ? 0 : null }), meaning(tag));

function startHints() {
  const hint = byId("hint");
  let shown = null;
  const hide = () => {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    hint.hidden = true;
  };
  const place = () => {
    if (!shown) return;
    const at = shown.getBoundingClientRect();
    const above = at.bottom + hint.offsetHeight + 8 > innerHeight;
    hint.style.left = `${Math.max(4, Math.min(at.left, innerWidth - hint.offsetWidth - 4))}px`;
    hint.style.top = `${above ? at.top - hint.offsetHeight - 6 : at.bottom + 6}px`;
  };
  const show = (event) => {
    const element = event.target.closest("[data-hint]");
    // The pointer that lies elsewhere takes nothing from the keyboard.
    if (element === shown || (!element && shown?.matches(":focus-visible"))) return;
    hide();
    if (!element) return;
    shown = element;
    element.setAttribute("aria-describedby", "hint");
    hint.textContent = element.dataset.hint;
    hint.hidden = false;
    place();
  };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  // Focus may scroll what it comes to into sight.
  document.addEventListener("scroll", place, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
