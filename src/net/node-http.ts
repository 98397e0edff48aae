/**
 * node:http without what it loads lazily: an import would read all its exports, and so load fetch and WebSocket, 30 ms and
 * megabytes.
 */
import process from "node:process";

export const { createServer, request } = process.getBuiltinModule("node:http");
