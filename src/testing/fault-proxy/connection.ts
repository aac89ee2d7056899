/** One client's connection through the proxy: what meets it as it is made, and then one exchange after another. */
import type { PlayedExchange } from "./exchange.ts"
import type { ConnectionFate } from "./fate.ts"
import type { Peer } from "./peer.ts"
import { type Line, Relay } from "./relay.ts"

export interface ConnectionParts extends Pick<Line, "delay" | "whileOpen"> {
  readonly client: Peer
  readonly fate: ConnectionFate
  /** Connects to the service. */
  reach(): Promise<Peer | undefined>
  /** The first bytes of an exchange are here. */
  begin(): PlayedExchange
  /** What goes on when the connection is over: nothing of it is lost sight of. */
  watch(promise: Promise<void>): void
}

/** Resolves when the connection is over. */
export async function playConnection(parts: ConnectionParts): Promise<void> {
  const { client, fate } = parts
  switch (fate.fault) {
    case "refuse":
      return client.end("rst")
    case "close":
      return client.end("fin")
    case "silence":
      while (await client.read());
      return client.finish()
    case "none":
      return playExchanges(parts)
  }
}

async function playExchanges({ client, reach, begin, watch, delay, whileOpen }: ConnectionParts): Promise<void> {
  let service: Peer | undefined
  const line: Line = {
    client,
    delay,
    whileOpen,
    serviceBeside: reach,
    service: async () => {
      if (!service || service.ended) service = await reach()
      return service
    },
  }
  try {
    while (await isNext()) {
      const exchange = begin()
      const relay = new Relay(exchange, line)
      const played = relay.play()
      watch(played.then(() => relay.rest).finally(() => exchange.end()))
      await played
      if (client.over) return
    }
  } finally {
    if (!service?.over) service?.end(client.ended ?? "fin")
  }

  /** Waits for the first bytes of an exchange; false if the connection is over instead. */
  async function isNext(): Promise<boolean> {
    for (;;) {
      await Promise.race([client.hasMore(), service?.hasMore() ?? client.hasMore()])
      // An idle service that speaks unasked, or ends: its client sees it.
      if (service?.hasBytes) {
        await client.write((await service.read())!)
        continue
      }
      if (service?.ended) {
        client.end(service.ended)
        return false
      }
      if (client.hasBytes) return true
      if (client.ended) {
        client.finish()
        return false
      }
    }
  }
}
