/** User and group names, which Node cannot look up. Only the files are read, not LDAP or the like: give a number there. */

/**
 * The id of `name` in the text of /etc/passwd or /etc/group (passwd(5), group(5)); undefined when it is not there.
 * A `name` of digits only is the id itself.
 */
export function accountId(database: string, name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  for (const line of database.split("\n")) {
    const [entry, , id] = line.split(":");
    if (entry === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}
