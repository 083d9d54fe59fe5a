// A client of node's http2: 100 streams at once on one connection, each with a body of another length that must
// come back, and the trailers of half of them.
'use strict';
const http2 = require('http2');

const session = http2.connect(process.argv[2]);
session.on('error', fail);
let left = 100;

for (let i = 0; i < 100; i++) {
  const sent = Buffer.alloc(i * 1021, String.fromCharCode(97 + (i % 26)));
  const withTrailers = i % 2 === 1;
  const stream = session.request(
    { ':method': 'POST', ':path': withTrailers ? '/trailers' : '/echo', 'x-number': String(i), cookie: ['a=1', 'b=2'], te: 'trailers', trailer: 'x-part' },
    { endStream: false, waitForTrailers: withTrailers },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-part': String(i) }));
  const got = [];
  let trailers;
  stream.on('response', (headers) => {
    if (headers[':status'] !== 200) fail(new Error(`stream ${i}: status ${headers[':status']}`));
  });
  stream.on('trailers', (headers) => { trailers = headers; });
  stream.on('data', (chunk) => got.push(chunk));
  stream.on('error', fail);
  stream.on('end', () => {
    if (!Buffer.concat(got).equals(sent)) fail(new Error(`stream ${i}: another body came back`));
    if (withTrailers && (!trailers || trailers['x-sum'] !== `of ${i}`)) fail(new Error(`stream ${i}: trailers ${JSON.stringify(trailers)}`));
    if (--left === 0) {
      console.log('100 streams, all alike');
      session.close();
    }
  });
  stream.end(sent);
}

function fail(err) {
  console.error(err);
  process.exit(1);
}
