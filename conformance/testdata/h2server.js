// A host of node's http2, without TLS: /echo sends the body back, /trailers with trailers made of the request's.
'use strict';
const http2 = require('http2');

const [host, port] = process.argv[2].split(':');
const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const withTrailers = headers[':path'] === '/trailers';
  let part = '';
  stream.on('error', () => {});
  stream.on('trailers', (trailers) => { part = trailers['x-part']; });
  stream.respond({ ':status': 200, 'content-type': 'text/plain' }, { waitForTrailers: withTrailers });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': `of ${part}` }));
  stream.pipe(stream);
});
server.listen(Number(port), host);
