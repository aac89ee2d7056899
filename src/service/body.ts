/** Reads a request's body up to a limit, without trusting what its header says. */
import { post_bytes_max } from "../intent/limit.ts"

/** Of a body that is too large, so much is read to its end: whoever is still sending may not hear an answer. */
const drained_bytes_max = 2 * post_bytes_max

export async function readBody(
  request: Request,
  bytes_max: number,
): Promise<{ text: string; bytes: number } | "too_large" | "not_text" | "cut_off"> {
  const encoding = request.headers.get("content-encoding")
  if (encoding !== null && encoding !== "identity") return "not_text"
  if (Number(request.headers.get("content-length") ?? 0) > bytes_max) return "too_large"
  if (!request.body) return { text: "", bytes: 0 }
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  const parts: string[] = []
  let bytes = 0
  try {
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength
      if (bytes > drained_bytes_max) break
      if (bytes <= bytes_max) parts.push(decoder.decode(chunk, { stream: true }))
    }
    if (bytes > bytes_max) return "too_large"
    parts.push(decoder.decode())
  } catch (error) {
    if (error instanceof TypeError) return "not_text"
    // The client died while it sent: no fault of ours.
    if (error instanceof Error && error.name === "AbortError") return "cut_off"
    throw error
  }
  return { text: parts.join(""), bytes }
}

/**
 * Takes what nobody read of a body. Bun 1.4 keeps the connection of an answer that came before its request's end until it
 * is idle for 10 s, also while the server stops.
 */
export async function drain(request: Request): Promise<void> {
  if (request.bodyUsed || !request.body) return
  let bytes = 0
  try {
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength
      if (bytes > drained_bytes_max) return
    }
  } catch {
    // The client is gone, and the answer with it.
  }
}
