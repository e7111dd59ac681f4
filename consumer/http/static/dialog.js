// The dialog in which a person confirms an order: what will happen, why, by whom, and with which token.

import { Refusal, order, token } from "./api.js";
import { announce, byId, el, focusKey, withCode } from "./dom.js";
import { consequences, orderOf } from "./orders.js";
import { sentence } from "./words.js";

const NAME = "retrainer-name";

/**
 * Ask for an order's confirmation, and give it.
 *
 * `seen` is the status that the person has before them: the champion in it is the one that may be replaced. `afterwards`
 * is called once the order was given.
 */
export function confirm(wanted, seen, guards, afterwards) {
  const dialog = byId("order");
  const opener = document.activeElement?.dataset.key;
  let ready = orderOf(wanted, seen, guards);
  const reason = el("input", { id: "order-reason", name: "reason", required: true, maxlength: "1000", autocomplete: "off" });
  const by = el("input", { id: "order-by", name: "by", maxlength: "200", autocomplete: "off", spellcheck: "false" });
  by.value = sessionStorage.getItem(NAME) ?? "";
  const tells = el("p", {}, ready.tells);
  const error = el("div", { class: "error", role: "alert" });
  const secret = seen.actions ? tokenField() : null;
  const give = seen.actions ? el("button", { type: "submit", class: "main" }, ready.button) : null;
  const command = seen.actions ? null : commandOf();
  const close = el("button", { type: "button", onclick: () => dialog.close() }, seen.actions ? "Cancel" : "Close");
  const form = el(
    "form",
    { novalidate: true, onsubmit: submitted },
    el("h2", { id: "order-title" }, ready.title),
    tells,
    ready.choice === null || ready.choice === undefined ? null : kinds(),
    el("label", { for: "order-reason" }, "Reason, which stays on record"),
    reason,
    el("label", { for: "order-by" }, "Your name, if you like"),
    by,
    secret?.parts,
    command?.parts,
    error,
    el("div", { class: "buttons" }, give, close),
  );
  dialog.replaceChildren(form);
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    if (document.activeElement === document.body) focusKey(opener, document, byId("main"));
  }, { once: true });
  reason.addEventListener("input", () => command?.show());
  command?.show();
  dialog.showModal();
  reason.focus();

  async function submitted(event) {
    event.preventDefault();
    if (!seen.actions) return;
    if (!reason.value.trim()) return refuse("Say why: the reason stays on record.", null, reason);
    const typed = secret.value();
    if (typed) token.set(typed);
    if (!token.get()) return refuse("An order needs the token of the service.", null, secret.field());
    sessionStorage.setItem(NAME, by.value.trim());
    const who = by.value.trim() ? { by: by.value.trim() } : {};
    give.disabled = true;
    error.replaceChildren();
    try {
      told(await order(ready.path, { reason: reason.value.trim(), ...who, ...ready.body(seen) }));
    } catch (failure) {
      give.disabled = false;
      if (failure instanceof Refusal) {
        if (failure.status === 401) secret.again();
        refuse(failure.message, failure.wayOut, failure.status === 401 ? secret.field() : give);
      } else refuse("The service does not answer, so nobody knows whether it took the order.", "look at the state before you give it again", give);
    }
    return undefined;
  }

  function refuse(what, wayOut, focus) {
    error.replaceChildren(el("p", {}, withCode(sentence(what))), wayOut ? el("p", {}, el("b", {}, "Way out: "), withCode(sentence(wayOut))) : "");
    focus.focus();
  }

  function told(answer) {
    const done = el("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close");
    const said = [ready.done, ...consequences(ready.path, answer)];
    dialog.replaceChildren(
      el("h2", { id: "order-title" }, "Done"),
      ...said.map((one) => el("p", {}, one)),
      el("div", { class: "buttons" }, done),
    );
    done.focus();
    announce(said.join(" "));
    afterwards();
  }

  function kinds() {
    const radio = (name, label) => {
      const box = el("input", { type: "radio", name: "kind", value: name, onchange: () => {
        ready = orderOf({ name }, seen);
        byId("order-title").textContent = ready.title;
        tells.textContent = ready.tells;
        command?.show();
      } });
      box.checked = name === wanted.name;
      return el("label", {}, box, label);
    };
    return el("fieldset", {}, el("legend", {}, "How"), radio("retrain", "Learn what is pending"), radio("full", "From scratch, on all users"));
  }

  function commandOf() {
    const code = el("code", { tabindex: "0" });
    const copied = el("span", { class: "quiet", role: "status" });
    const copy = async () => {
      const way = await navigator.clipboard?.writeText(code.textContent).then(() => "Copied.", () => null);
      if (!way) getSelection().selectAllChildren(code);
      copied.textContent = way ?? "Marked: copy it with the keyboard.";
    };
    const parts = [
      el("p", {}, "This service takes no orders from a page, as it has no token. On its machine this does the same:"),
      el("p", { class: "command" }, code),
      el("p", { class: "buttons" }, el("button", { type: "button", onclick: copy }, "Copy"), copied),
      el("p", { class: "quiet" }, "For orders from here, write a token to a file, name the file in ", el("code", {}, "RETRAINER_HTTP__TOKEN_FILE"), ", and start the service again."),
    ];
    return { parts, show: () => { code.textContent = ready.command(seen, reason.value.trim() || "why"); } };
  }
}

/** A field for the token, where this tab has none; it is kept until the tab is closed, or it is forgotten. */
function tokenField() {
  const place = el("div", { class: "secret" });
  const field = el("input", { id: "order-token", type: "password", autocomplete: "off", spellcheck: "false" });
  const show = () => place.replaceChildren(el("label", { for: "order-token" }, "Token of the service, kept until this tab is closed"), field);
  if (!token.get()) show();
  return {
    parts: place,
    field: () => field,
    value: () => field.value.trim(),
    again: () => {
      token.forget();
      field.value = "";
      show();
    },
  };
}
