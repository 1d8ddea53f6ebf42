// Dialog that takes a picture with the camera. The picture stays in the browser until it is used.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { jpeg } from "./pictures.js";

const REASONS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it in the address bar and try again.",
  NotFoundError: "This machine has no camera.",
  NotReadableError: "The camera is in use by another program.",
};

/** Promise of a picture from the camera as a File; null if the dialog was closed. */
export function takePicture() {
  return new Promise((resolve) => {
    let stream = null;
    let taken = null;
    const video = h("video", { autoplay: true, playsinline: true, muted: true, "aria-label": "What the camera sees" });
    const problem = h("p", { class: "note error", role: "alert", hidden: true });
    const shoot = h("button", { class: "button primary", type: "button", disabled: true, onclick: capture }, icon("camera"), "Take the photograph");
    const cancel = h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel");
    const dialog = h("dialog", { class: "dialog camera", "aria-label": "Camera", onclose: finish },
      h("h2", {}, "Camera"), problem, video, h("div", { class: "actions" }, cancel, shoot));

    async function start() {
      try {
        if (!navigator.mediaDevices) throw new Error("The camera needs https, or this machine's own address.");
        const wanted = { width: { ideal: 1280 }, height: { ideal: 960 }, facingMode: "user" };
        stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
        if (!dialog.open) return stop();
        video.srcObject = stream;
        video.muted = true;
        await video.play();
        shoot.disabled = false;
        shoot.focus();
      } catch (error) {
        problem.textContent = REASONS[error.name] ?? error.message;
        problem.hidden = false;
        video.hidden = true;
      }
    }

    async function capture() {
      const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      taken = await jpeg(canvas, "camera.jpg");
      dialog.close();
    }

    function stop() {
      stream?.getTracks().forEach((track) => track.stop());
    }

    function finish() {
      stop();
      dialog.remove();
      resolve(taken);
    }

    document.body.append(dialog);
    dialog.showModal();
    start();
  });
}
