// A Kinesis-compatible server for tests and demo, on loopback only: kinesalite's own command listens on every interface.
//
//     NODE_PATH=TOOLS/node_modules node kinesalite.js [PORT [FOLDER]]
//
// PORT 0 or none takes a free one. Streams are kept in FOLDER, or in memory. Prints one line of JSON once it listens:
// {"port": 41234}.
'use strict'

const kinesalite = require('kinesalite')

const port = Number(process.argv[2] || 0)
const server = kinesalite({
  path: process.argv[3],
  createStreamMs: 20, // how long a stream is CREATING, and so on; the real service takes seconds
  deleteStreamMs: 20,
  updateStreamMs: 20,
  shardLimit: 100,
})

server.on('error', (error) => {
  process.stderr.write(`kinesalite cannot listen on 127.0.0.1:${port}: ${error.message}\n`)
  process.exitCode = 1
})
server.listen(port, '127.0.0.1', () => {
  process.stdout.write(JSON.stringify({port: server.address().port}) + '\n')
})
