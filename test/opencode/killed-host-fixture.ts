/** A linked host that is killed between the commit of one event and its announcement: its last words are its pid. */
import { hostDatabase, openHost } from "./linked-host.ts"
import { readEvents, type RecordingName } from "./reference.ts"

const [file, service, name, last] = process.argv.slice(2)
const host = openHost(hostDatabase(file!), service!)
host.init()
for (const event of (await readEvents(name as RecordingName)).slice(0, Number(last))) {
  host.play(event)
  if (event.type === "session.created") await host.sync.create(String(event.properties.sessionID))
}
host.store.commit((await readEvents(name as RecordingName))[Number(last)]!)
process.kill(process.pid, "SIGKILL")
