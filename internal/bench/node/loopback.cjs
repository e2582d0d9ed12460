// Required before supergateway, which listens on every interface and has no option for that: here it listens on
// 127.0.0.1 alone.
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port !== 'number') return listen.call(this, port, ...rest);
  return listen.call(this, { port, host: '127.0.0.1' }, ...rest.filter((r) => typeof r === 'function'));
};
