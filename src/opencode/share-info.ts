/** What opencode is told of a share: id, secret and URL, as its own client would get them from a service. */
import type { Clock } from "../intent/seam.ts"
import type { Outbox, Stream } from "../index.ts"
import { baseOf } from "../wire/endpoint.ts"
import type { ShareInfo } from "./gateway.ts"

/** As the service has said it, or will: a service that takes ids made here puts them at the end of its URL. */
export function shareInfo(outbox: Outbox, stream: Stream): ShareInfo {
  const { service, share_id, secret, remote } = stream.ref()
  const url = stream.status().url ?? urlLikeOthers(outbox, service, share_id) ?? `${baseOf(service)}/share/${share_id}`
  return { id: remote?.id ?? share_id, secret: remote?.secret ?? secret, url }
}

/** The id alone, for those who look for a share among many. */
export function shareId(stream: Stream): string {
  const { share_id, remote } = stream.ref()
  return remote?.id ?? share_id
}

/** The public name of a service may be another than its endpoint's: an earlier share there shows it. */
function urlLikeOthers(outbox: Outbox, service: string, share_id: string): string | undefined {
  for (const other of outbox.streams()) {
    const known = other.status()
    if (known.service === service && known.url?.endsWith(`/${known.share_id}`))
      return `${known.url.slice(0, -known.share_id.length)}${share_id}`
  }
  return
}

/**
 * True once the service has said the URL; false if it does not within the time, or a block stands in the way; with
 * `patient` false also if an attempt fails.
 */
export async function whenKnown(
  outbox: Outbox,
  stream: Stream,
  { limit_ms, patient, clock }: { limit_ms: number; patient: boolean; clock: Clock },
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const look = () => {
    const { url, block, removed } = stream.status()
    // Taken back meanwhile: whatever its URL is, nobody is to be told.
    if (removed) resolve(false)
    else if (url !== undefined) resolve(true)
    else if (block) resolve(false)
  }
  const unlisten = outbox.onAny((event) => {
    if (!("stream" in event) || event.stream !== stream.name) return
    look()
    if (event.name === "failed" && !patient) resolve(false)
  })
  const timer = clock.timer(limit_ms, () => resolve(false), false)
  try {
    look()
    return await promise
  } finally {
    unlisten()
    timer.cancel()
  }
}
