/** Reads a request's body up to a limit, without trusting what its header says. */

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
      if (bytes > bytes_max) return "too_large"
      parts.push(decoder.decode(chunk, { stream: true }))
    }
    parts.push(decoder.decode())
  } catch (error) {
    if (error instanceof TypeError) return "not_text"
    // The client died while it sent: no fault of ours.
    if (error instanceof Error && error.name === "AbortError") return "cut_off"
    throw error
  }
  return { text: parts.join(""), bytes }
}
