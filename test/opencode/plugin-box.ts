/** The stand-in of opencode with the plugin, in a data folder of its own, and the share service that it shares to. */
import { serveShareService, type ServeOptions } from "../../src/service/index.ts"
import { tempDir } from "../temp-dir.ts"
import { StandIn } from "./stand-in.ts"

export interface Item {
  type: string
  data: Record<string, unknown>
}

export async function pluginBox(serving: Omit<ServeOptions, "file"> = {}) {
  const { XDG_DATA_HOME } = process.env
  const dir = tempDir()
  process.env.XDG_DATA_HOME = dir.path
  const serve = (port = 0) => serveShareService({ ...serving, file: dir.file("service.db"), port })
  let service = serve()
  const options: Record<string, unknown> = { service: service.url }
  const opencode = new StandIn(dir.path, options)
  return {
    dir,
    opencode,
    get service() {
      return service
    },
    /** Stops the service; the function that is returned starts it again, at the same address. */
    async down() {
      const { port } = service
      await service.stop()
      return () => void (service = serve(port))
    },
    /** Those of the next `load`. */
    options,
    /** What the share shows; its status if it shows nothing. */
    async shown(id: string): Promise<Item[] | number> {
      const response = await fetch(`${service.url}/api/share/${id}/data`)
      return response.ok ? ((await response.json()) as Item[]) : response.status
    },
    /** Texts that the share shows, in order. */
    async texts(id: string): Promise<unknown[]> {
      const items = await this.shown(id)
      return Array.isArray(items) ? items.filter(({ type }) => type === "part").map(({ data }) => data.text) : []
    },
    turns: () =>
      service.sql
        .all<{ data: string }>("SELECT data FROM item WHERE type = 'turn'")
        .map(({ data }) => (JSON.parse(data) as { state: string }).state),
    async [Symbol.asyncDispose]() {
      await opencode.hooks.dispose?.()
      if (XDG_DATA_HOME === undefined) delete process.env.XDG_DATA_HOME
      else process.env.XDG_DATA_HOME = XDG_DATA_HOME
      await service.stop()
      opencode[Symbol.dispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}
