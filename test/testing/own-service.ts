/** Our own service as the conformance suite has it: all methods, all hooks. */
import { copyFileSync, rmSync } from "node:fs"
import { createShareService, type Methods, Rejection, serveShareService } from "../../src/service/index.ts"
import type { ServicePlace, ServiceSubject } from "../../src/testing/conformance/index.ts"
import { tempDir } from "../temp-dir.ts"

interface OwnPlace extends ServicePlace {
  /** Of the service's database, while it is stopped. */
  file: string
  count: (op_id: string) => number
  stop: () => unknown
  start: () => void
}

/** Each writes first, so that what is to be undone can be seen. */
export const methods: Methods = {
  put: ({ sql, op_id }) => void sql.run("INSERT INTO effect (op_id) VALUES (?)", op_id),
  refuse: ({ sql, op_id }) => {
    sql.run("INSERT INTO effect (op_id) VALUES (?)", op_id)
    throw new Rejection("not_wanted", "this method always rejects")
  },
  echo: (_, value) => value,
  fail: ({ sql, op_id }) => {
    sql.run("INSERT INTO effect (op_id) VALUES (?)", op_id)
    throw new Error("a bug of the handler")
  },
}

export const table = "CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, op_id TEXT) STRICT"
export const count = "SELECT 1 FROM effect WHERE op_id = ?"

const own = {
  methods: { applied: { method: "put" }, rejected: { method: "refuse" }, echo: "echo", failing: { method: "fail" } },
  effects: (place: OwnPlace, op_id: string) => place.count(op_id),
  restart: async (place: OwnPlace) => {
    await place.stop()
    place.start()
  },
  backUp: async (place: OwnPlace) => {
    const copy = `${place.file}.backup`
    await place.stop()
    copyFileSync(place.file, copy)
    place.start()
    return async () => {
      await place.stop()
      for (const end of ["", "-wal", "-shm"]) rmSync(place.file + end, { force: true })
      copyFileSync(copy, place.file)
      place.start()
    }
  },
}

/** A service of its own for each check. */
export const inProcess: ServiceSubject<OwnPlace> = {
  ...own,
  make() {
    const dir = tempDir()
    const file = dir.file("service.db")
    const open = () => createShareService({ file, methods })
    let service: ReturnType<typeof open>
    const start = () => {
      service = open()
      service.sql.run(table)
    }
    start()
    return {
      file,
      start,
      service: "https://share.example/rpc/share",
      fetch: (request) => service.fetch(request),
      count: (op_id) => service.sql.all(count, op_id).length,
      stop: () => service.close(),
      async close() {
        service.close()
        await dir[Symbol.asyncDispose]()
      },
    }
  },
}

/** One server for all checks, as somebody has who cannot start one for each. */
export function overHttp(): { subject: ServiceSubject<OwnPlace>; close: () => Promise<void> } {
  const dir = tempDir()
  const file = dir.file("service.db")
  const open = () => serveShareService({ file, methods })
  let service: ReturnType<typeof open> | undefined
  const place: OwnPlace = {
    file,
    service: "",
    start() {
      service = open()
      service.sql.run(table)
      place.service = `${service.url}/rpc/share`
    },
    count: (op_id) => service!.sql.all(count, op_id).length,
    stop: () => service!.stop(),
  }
  const make = () => {
    if (!service) place.start()
    return place
  }
  const close = async () => {
    await service?.stop()
    await dir[Symbol.asyncDispose]()
  }
  return { subject: { ...own, make }, close }
}
