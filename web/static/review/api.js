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
  const digest = uri.replace("sha256:", "");
  const response = await fetch(`/api/review/tasks/${taskId}/images/${digest}`, { signal: AbortSignal.timeout(3 * PATIENCE_MS) });
  if (!response.ok) {
    const { detail = "" } = await response.json();
    throw Object.assign(new Error(detail), { isPassing: response.status >= 500 || LATER.has(response.status) });
  }
  return createImageBitmap(await response.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}
