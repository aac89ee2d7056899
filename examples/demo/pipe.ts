/** Lines between the host and its clients, one JSON value each. */

export type ToClient =
  | { shares: Record<string, { share_id: string; secret: string }> }
  | { place: number; event: { id: string; type: string; properties: Record<string, unknown> } }
  | { finish: true }

export type FromClient =
  /** It has taken over responsibility for every event up to this place. */
  { acked: number; pending: number } | { sent: { attempt: number; ops: number } } | { done: { problem?: string } }

export async function* jsonLines<T>(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<T[]> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop()!
    // What came at once is handed on at once.
    if (lines.length > 0) yield lines.map((line) => JSON.parse(line) as T)
  }
}

export function sayToHost(message: FromClient): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
