// Elements that several views share: drop zone, thumbnails, error notes, dialogs, collection chips.
import { takePicture } from "./camera.js";
import { fill, h, newId, save } from "./dom.js";
import { icon } from "./icons.js";
import { count } from "./meaning.js";
import { ACCEPT, chosenFiles, droppedFiles, isPicture } from "./pictures.js";

/** A note with an error's message and the request's id, by which the error is found in the log. */
export function problem(error) {
  const id = error.requestId ? h("span", { class: "request-id" }, ` Request ${error.requestId}.`) : null;
  return h("p", { class: "note error", role: "alert" }, icon("warn"), h("span", {}, error.message, id));
}

/** Placeholder for an empty list: icon, title and text. */
export function nothing(name, title, text, ...more) {
  return h("div", { class: "nothing" }, icon(name), h("h2", {}, title), h("p", {}, text), ...more);
}

/**
 * Input for pictures: by button, folder, camera, drag or paste.
 *
 * `take` is called with [{file, path}], at least one picture, with the files that are none, [{path, reason}], and with
 * the number of hidden files and files of systems; `refuse` with an error text. When `signal` aborts, pastes
 * are no longer listened for.
 */
export function dropzone({ title, hint, take, refuse, signal, multiple = false, folder = false, camera = true, paste = true }) {
  const id = newId("file");
  const input = h("input", { type: "file", id, class: "unseen", accept: ACCEPT, multiple });
  const folderInput = folder ? h("input", { type: "file", id: `${id}-folder`, class: "unseen", webkitdirectory: true }) : null;
  const give = (items) => {
    const meant = items.filter((item) => !item.junk);
    const pictures = meant.filter((item) => isPicture(item.file));
    const leftOut = meant.filter((item) => !isPicture(item.file)).map(({ path }) => ({ path, reason: "no image that can be read" }));
    if (!multiple && pictures.length > 1) refuse(`One image is expected here, and ${pictures.length} came.`);
    else if (pictures.length) take(pictures, leftOut, items.length - meant.length);
    else refuse("There is no image in this: JPEG, PNG, WebP and BMP files are accepted.");
  };
  for (const source of [input, folderInput]) {
    source?.addEventListener("change", () => {
      give(chosenFiles(source));
      source.value = "";
    });
  }
  const zone = h("div", {
    class: "drop",
    role: "group",
    "aria-label": title,
    ondragover: (event) => {
      event.preventDefault();
      zone.classList.add("over");
    },
    ondragleave: (event) => {
      if (!zone.contains(event.relatedTarget)) zone.classList.remove("over");
    },
    ondrop: async (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      try {
        give(await droppedFiles(event.dataTransfer));
      } catch (error) {
        refuse(`This cannot be read: ${error.message}`); // for example a moved file, or a folder without permission
      }
    },
  },
  icon("picture"),
  h("p", { class: "drop-title" }, title),
  h("p", { class: "hint" }, hint),
  h("div", { class: "actions centre" },
    input, h("label", { class: "button primary", for: id }, icon("picture"), multiple ? "Choose images" : "Choose an image"),
    folder ? [folderInput, h("label", { class: "button", for: `${id}-folder` }, icon("folder"), "Choose a folder")] : null,
    camera ? h("button", {
      class: "button",
      type: "button",
      onclick: async () => {
        const file = await takePicture();
        if (file) give([{ file, path: file.name }]);
      },
    }, icon("camera"), "Camera") : null));
  if (paste) {
    document.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files];
      if (!files.length || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      give(files.map((file) => ({ file, path: file.name })));
    }, { signal });
  }
  return zone;
}

/**
 * An enrolled face's thumbnail, fetched when it comes into view; a silhouette if none is stored. An empty `label` hides
 * it from screen readers.
 */
export function thumbnail(api, faceId, label) {
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const frame = h("span", { class: "thumb", ...named }, icon("empty"));
  if (!faceId) return frame;
  const watcher = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    const url = await api.thumbnail(faceId);
    if (url) fill(frame, h("img", { src: url, alt: "" }));
  }, { rootMargin: "200px" });
  watcher.observe(frame);
  return frame;
}

/** Asks for confirmation; promise of true if `action` was chosen. */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    let yes = false;
    const dialog = h("dialog", { class: "dialog", "aria-label": title, onclose: () => { dialog.remove(); resolve(yes); } },
      h("h2", {}, title), h("p", {}, text),
      h("div", { class: "actions" },
        h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { class: "button danger", type: "button", onclick: () => { yes = true; dialog.close(); } }, action)));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Dialog with the result of a deletion, which can be saved. */
export function showReceipt(title, answer) {
  const facts = [
    ["Persons erased", answer.persons],
    ["Faces erased", answer.faces],
    ["When", new Date().toLocaleString("en-GB")],
    ["Proof", answer.receipt ? "signed by this installation" : undefined],
  ].filter(([, value]) => value !== undefined);
  const text = answer.erased
    ? "The records, the templates and the stored images are gone."
    : "It was removed from this collection and is still in other ones.";
  const dialog = h("dialog", { class: "dialog", "aria-label": title, onclose: closed },
    h("h2", {}, icon("check"), title), h("p", {}, text),
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
    h("div", { class: "actions" },
      h("button", {
        class: "button",
        type: "button",
        onclick: () => save("deletion-receipt.json", `${JSON.stringify({ title, ...answer, when: new Date().toISOString() }, null, 2)}\n`),
      }, "Save the receipt"),
      h("button", { class: "button primary", type: "button", onclick: () => dialog.close() }, "Done")));
  document.body.append(dialog);
  dialog.showModal();

  /** The browser returns the focus to the previous element; if that was deleted, the view's heading gets it. */
  function closed() {
    dialog.remove();
    if (document.activeElement === document.body) document.querySelector("main h1")?.focus({ preventScroll: true });
  }
}

/** Checkboxes to choose collections; updates `chosen`, a Set of names. */
export function collectionChips(collections, chosen, onchange = () => {}) {
  const chips = collections.map((collection) => {
    const input = h("input", {
      type: "checkbox",
      class: "unseen",
      checked: chosen.has(collection.name),
      onchange: () => {
        if (input.checked) chosen.add(collection.name);
        else chosen.delete(collection.name);
        onchange();
      },
    });
    return h("label", { class: "chip", title: collection.title || collection.name }, input,
      h("span", {}, collection.name), " ", h("span", { class: "chip-count" }, count(collection.face_count, "face")));
  });
  return h("fieldset", { class: "chips" }, h("legend", {}, "Collections"), ...chips);
}
