// A gRPC server of grpc-js: every kind of call, on messages of plain bytes.
'use strict';
const grpc = require('@grpc/grpc-js');
const service = require('./grpcservice.js');

// part gives back what the call carries as "part", at its begin and in its trailers.
function part(call) {
  const back = new grpc.Metadata();
  for (const value of call.metadata.get('part')) back.add('part', value);
  return back;
}

const server = new grpc.Server();
server.addService(service, {
  echo(call, done) {
    call.sendMetadata(part(call));
    done(null, call.request, part(call));
  },
  count(call) {
    const n = Number(call.request.toString());
    for (let i = 0; i < n; i++) call.write(Buffer.from(String(i)));
    call.end(part(call));
  },
  sum(call, done) {
    let sum = 0;
    call.on('data', (m) => { sum += m.length; });
    call.on('end', () => done(null, Buffer.from(String(sum)), part(call)));
  },
  chat(call) {
    call.on('data', (m) => call.write(m));
    call.on('end', () => call.end(part(call)));
  },
  fail(call, done) {
    const metadata = new grpc.Metadata();
    metadata.add('why-bin', Buffer.from([0, 255, 13, 10]));
    done({ code: grpc.status.FAILED_PRECONDITION, details: 'größer als 100 %\n', metadata });
  },
  sleep() {},
});
server.bindAsync(process.argv[2], grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) throw err;
});
