// Client of the service's HTTP API: sends the API key, turns error responses into ApiError, repeats requests to a busy
// service.

const BUSY = new Set([429, 503]);
const MOST_WAITS = 6;
const LONGEST_WAIT_S = 15;
const KEPT_PICTURES = 400;

/** An error response of the service; `code` is stable, `message` is for people. */
export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.details = error.details ?? {};
    this.requestId = error.request_id ?? "";
  }
}

/** The URL of a path relative to the page's base, so that it also works behind a path prefix. */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

export class Api {
  #pictures = new Map();

  /** `onRefusedKey` is called when the service no longer accepts the key. */
  constructor(key, onRefusedKey = () => {}) {
    this.key = key;
    this.onRefusedKey = onRefusedKey;
  }

  get(path, query, signal) {
    return this.#json("GET", path, { query, signal });
  }

  post(path, body, signal) {
    return this.#json("POST", path, { body, signal });
  }

  put(path, body, signal) {
    return this.#json("PUT", path, { body, signal });
  }

  patch(path, body) {
    return this.#json("PATCH", path, { body });
  }

  delete(path, query) {
    return this.#json("DELETE", path, { query });
  }

  /** A stored picture of a face, `kind` "thumbnail" or "photograph"; null if no photograph is stored. */
  async picture(faceId, kind, signal) {
    try {
      const response = await this.#send("GET", `v1/faces/${encodeURIComponent(faceId)}/image`, { query: { kind }, signal });
      return await response.blob();
    } catch (error) {
      if (kind === "photograph" && error.code === "image_not_stored") return null;
      throw error;
    }
  }

  /** Object URL of an enrolled face's thumbnail; null if none is stored. */
  thumbnail(faceId) {
    const known = this.#pictures.get(faceId);
    if (known) return known;
    const wanted = this.#send("GET", `v1/faces/${encodeURIComponent(faceId)}/image`, {})
      .then(async (response) => URL.createObjectURL(await response.blob()))
      .catch((error) => {
        if (error.status !== 404) this.#pictures.delete(faceId);
        return null;
      });
    this.#pictures.set(faceId, wanted);
    if (this.#pictures.size > KEPT_PICTURES) this.#forget(this.#pictures.keys().next().value);
    return wanted;
  }

  /** Releases all fetched thumbnails. */
  close() {
    for (const faceId of [...this.#pictures.keys()]) this.#forget(faceId);
  }

  #forget(faceId) {
    this.#pictures.get(faceId).then((url) => url && URL.revokeObjectURL(url));
    this.#pictures.delete(faceId);
  }

  async #json(method, path, options) {
    return (await this.#send(method, path, options)).json();
  }

  async #send(method, path, { query, body, signal }) {
    const headers = { "X-API-Key": this.key };
    const isForm = body instanceof FormData;
    if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
    const content = isForm || body === undefined ? body : JSON.stringify(body);
    for (let waits = 0; ; waits += 1) {
      let response;
      try {
        response = await fetch(address(path, query), { method, headers, body: content, signal, cache: "no-store" });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        const message = "The service does not answer. Is it running, and is the network connected?";
        throw new ApiError(0, { code: "unreachable", message });
      }
      if (response.ok) return response;
      if (BUSY.has(response.status) && waits < MOST_WAITS) {
        await pause(Math.min(Number(response.headers.get("Retry-After")) || 2 ** waits, LONGEST_WAIT_S), signal);
        continue;
      }
      const error = await refusal(response);
      if (response.status === 401) this.onRefusedKey(error);
      throw error;
    }
  }
}

async function refusal(response) {
  const fallback = { code: `http_${response.status}`, message: `The service answered ${response.status}.` };
  const answer = await response.json().catch(() => ({}));
  return new ApiError(response.status, answer.error ?? fallback);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** A multipart body: lists become repeated fields, files keep their names, empty values are left out. */
export function form(fields) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null || item === "") continue;
      if (item instanceof File) made.append(name, item, item.name);
      else if (item instanceof Blob) made.append(name, item, "picture.jpg");
      else made.append(name, String(item));
    }
  }
  return made;
}
