// Pictures: reading files and folders, drawing faces on pictures, cutting faces out.
import { h, svg } from "./dom.js";

const PICTURE = /\.(bmp|jfif|jpe|jpeg|jpg|png|webp)$/i;
const JUNK = new Set([ // of macOS, Windows, Synology, QNAP and Linux, as in serve_app/bulk/junk.py
  "__macosx", "icon\r", "network trash folder", "temporary items",
  "$recycle.bin", "desktop.ini", "ehthumbs.db", "recycler", "system volume information", "thumbs.db",
  "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@tmp", "lost+found",
]);
const TYPES = "image/jpeg,image/png,image/webp,image/bmp";
const MARGIN = 0.9; // margin on each side of a cut-out face, relative to its box
const PORTRAIT = 96;

export const ACCEPT = TYPES;

/** Whether a file has one of the formats that the service accepts. */
export function isPicture(file) {
  return TYPES.split(",").includes(file.type) || PICTURE.test(file.name);
}

/** Whether a file or folder of this name is hidden or left by a system. */
function isJunk(name) {
  return name.startsWith(".") || JUNK.has(name.toLowerCase());
}

/** Files of a drop, folders included, as {file, path, junk}; the path has the folders' names. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, entry.name, found);
  return found;
}

async function walk(entry, path, found) {
  if (isJunk(entry.name)) {
    found.push({ path, junk: true });
    return;
  }
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!children.length) return;
    for (const child of children) await walk(child, `${path}/${child.name}`, found);
  }
}

/** Files of a file input, as {file, path, junk}. */
export function chosenFiles(input) {
  return [...input.files].map((file) => {
    const path = file.webkitRelativePath || file.name;
    return { file, path, junk: path.includes("/") && path.split("/").some(isJunk) };
  });
}

/** The loaded picture as an element; its object URL is released when `signal` aborts. */
export async function loaded(blob, signal, alt = "") {
  const url = URL.createObjectURL(blob);
  signal?.addEventListener("abort", () => URL.revokeObjectURL(url));
  const image = h("img", { alt, src: url });
  try {
    await image.decode();
  } catch {
    throw new Error("This file cannot be shown as an image. JPEG, PNG, WebP and BMP are accepted.");
  }
  return image;
}

/** The picture with a box and five landmarks for each face, numbered from 1; a click on a box calls `pick(index)`. */
export function marked(image, faces, pick = () => {}) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const unit = Math.max(width, height) / 100;
  const layer = svg("svg", { class: "marks", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  faces.forEach((face, index) => {
    if (!face.box) return;
    const { x, y, width: w, height: tall } = face.box;
    const known = face.matches ? (face.matches.length ? "known" : "unknown") : "plain";
    const dot = Math.max(unit * 0.3, w / 40);
    const group = svg("g", { class: `mark ${known}`, onclick: () => pick(index) },
      svg("rect", { class: "box", x, y, width: w, height: tall, rx: w / 14 }),
      Object.values(face.landmarks ?? {}).map((point) => svg("circle", { cx: point.x, cy: point.y, r: dot })));
    if (faces.length > 1) {
      const size = Math.max(unit * 3.2, Math.min(w / 3.4, unit * 5));
      const [left, top] = [Math.max(0, x), Math.max(0, y - size * 1.15)];
      const text = svg("text", { x: left + size * 0.62, y: top + size * 0.8, "font-size": size * 0.78 }, String(index + 1));
      group.append(svg("rect", { class: "tag", x: left, y: top, width: size * 1.24, height: size * 1.08, rx: size / 4 }), text);
    }
    layer.append(group);
  });
  return h("div", { class: "marked" }, image, layer);
}

/** Highlights one face of a marked picture. */
export function highlight(picture, index) {
  picture.querySelectorAll(".mark").forEach((mark, position) => mark.classList.toggle("current", position === index));
}

/** A square portrait of one face for display, cut out of the picture. */
export function portrait(image, box, label) {
  const canvas = h("canvas", { class: "portrait", width: PORTRAIT * 2, height: PORTRAIT * 2, role: "img", "aria-label": label });
  const side = Math.max(box.width, box.height) * 1.5;
  const [left, top] = [box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2];
  canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** One face with its surroundings as a JPEG file, for enrolment. */
export function cutOut(image, box) {
  const [left, top] = [Math.max(0, box.x - box.width * MARGIN), Math.max(0, box.y - box.height * MARGIN)];
  const width = Math.min(image.naturalWidth - left, box.width * (1 + 2 * MARGIN));
  const height = Math.min(image.naturalHeight - top, box.height * (1 + 2 * MARGIN));
  const canvas = h("canvas", { width: Math.round(width), height: Math.round(height) });
  canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return jpeg(canvas);
}

/** A canvas as a JPEG file. */
export function jpeg(canvas, name = "picture.jpg") {
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([blob], name, { type: "image/jpeg" })), "image/jpeg", 0.94);
  });
}
