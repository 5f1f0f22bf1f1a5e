// Calls of the pages' own API. Four things can come of one: done, refused (it will never work as it is), away (it may work
// later), login (it will work once somebody is logged in again).

const PATIENCE_MS = 10_000;
const LATER = new Set([408, 425, 429, 499]);

export async function call(method, path, body) {
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "content-type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    answer = await response.json();
  } catch {
    return { kind: "away", isFault: false };
  }
  if (response.ok) return { kind: "done", body: answer };
  if (response.status === 401) return { kind: "login" };
  if (response.status >= 500 || LATER.has(response.status)) return { kind: "away", isFault: response.status === 500 };
  return { kind: "refused", problem: answer };
}

// A picture by its digest, as it is stored: without colour management, so that a pixel's value is the one in the file.
export async function picture(taskId, uri) {
  const response = await fetched(taskId, uri, "", AbortSignal.timeout(3 * PATIENCE_MS));
  return createImageBitmap(await response.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

// The grey levels of a picture whose file has more than 8 bits, and what they are worth; null where only 8 are known.
export async function greyLevels(taskId, uri, signal) {
  const response = await fetched(taskId, uri, "/levels", signal);
  if (response.status === 204) return null;
  return { ...JSON.parse(response.headers.get("Medq-Grey-Scale")), levels: new Uint16Array(await response.arrayBuffer()) };
}

async function fetched(taskId, uri, what, signal) {
  const response = await fetch(`/api/review/tasks/${taskId}/images/${uri.replace("sha256:", "")}${what}`, { signal });
  if (response.ok) return response;
  const { detail = "" } = await response.json();
  throw Object.assign(new Error(detail), { isPassing: response.status >= 500 || LATER.has(response.status) });
}
