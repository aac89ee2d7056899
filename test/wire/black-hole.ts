/** An address whose connections are never accepted: SYNs are dropped, as behind a firewall that says nothing. */
import { connect, type Socket } from "node:net"
import { nextTurn } from "./attempt.ts"

const server = `require("node:net").createServer(() => {}).listen(0, "127.0.0.1", function () { console.log(this.address().port) })`

/** A listener that is stopped (SIGSTOP) and whose queue of connections is full; Bun's holds 512. */
export async function blackHole() {
  const child = Bun.spawn([process.execPath, "-e", server], { stdout: "pipe", stdin: "ignore" })
  const { value } = await child.stdout.getReader().read()
  const port = Number(new TextDecoder().decode(value))
  child.kill("SIGSTOP")
  const fillers: Socket[] = []
  for (let full = false; !full;) {
    if (fillers.length > 900) throw new Error("the queue of connections does not fill")
    let open = false
    const filler = connect({ port, host: "127.0.0.1" }, () => (open = true)).on("error", () => {})
    fillers.push(filler)
    await nextTurn()
    full = !open
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const filler of fillers) filler.destroy()
      child.kill("SIGKILL")
      await child.exited
    },
  }
}
