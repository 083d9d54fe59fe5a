// The service that grpcclient.js calls and grpcserver.js offers.
'use strict';
const bytes = (b) => b;

function method(name, requestStream, responseStream) {
  return {
    path: `/test.Calls/${name}`, requestStream, responseStream,
    requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes,
  };
}

module.exports = {
  echo: method('Echo', false, false),
  count: method('Count', false, true),
  sum: method('Sum', true, false),
  chat: method('Chat', true, true),
  fail: method('Fail', false, false),
  sleep: method('Sleep', false, false),
  missing: method('Missing', false, false),
};
