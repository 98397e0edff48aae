import { expect, it } from "vitest";
import { accountId } from "../../src/server/account.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/bash
postfix:x:106:113::/var/spool/postfix:/usr/sbin/nologin
broken:x
odd:x:abc:1::/:/bin/sh
+:::
`;

it.each<[string, number | undefined]>([
  ["root", 0],
  ["postfix", 106],
  ["113", 113], // a number is the id itself
  ["0106", 106],
  ["post", undefined], // whole names only
  ["x", undefined],
  ["", undefined],
  ["broken", undefined], // a line without an id
  ["odd", undefined],
  ["+", undefined],
])("the id of %j", (name, id) => {
  expect(accountId(PASSWD, name)).toBe(id);
});
