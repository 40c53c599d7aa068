"""The transaction of a person of the directory who logs in."""

from __future__ import annotations

from appliance.permissions import check_role, is_guarded
from appliance.store.ports import Connection
from appliance.store.reads import credentials
from appliance.store.writes.access import CreateAccount, GrantRole, WithdrawRole
from appliance.store.writes.write import Write
from bundles.errors import RefusedError


class SettleAccount(Write, frozen=True):
    """The account of a person of the directory, made where there is none, with these roles and no others. Raises
    RefusedError where the name is that of an account of the station's own, or of one that is disabled."""

    account: str
    full_name: str
    grants: tuple[tuple[str, str], ...]
    at: str

    def apply(self, db: Connection) -> None:
        row = db.execute("SELECT disabled FROM accounts WHERE name = ?", (self.account,)).fetchone()
        if row is None:
            CreateAccount(name=self.account, kind="person", full_name=self.full_name, at=self.at).apply(db)
            db.execute("INSERT INTO directory_accounts (account, since) VALUES (?, ?)", (self.account, self.at))
        elif row[0] is not None or not credentials.is_of_directory(db, self.account):
            raise RefusedError(
                "the account is not the directory's", thing=self.account, remedy="see: lockgate user list"
            )
        rows = db.execute("SELECT role, pattern FROM grants WHERE account = ?", (self.account,)).fetchall()
        held, wanted = {(str(role), str(pattern)) for role, pattern in rows}, set(self.grants)
        if any(is_guarded(check_role(role)) for role, _ in held):
            raise RefusedError("the account decides here", thing=self.account, remedy="see: lockgate intake check")
        for role, pattern in sorted(held - wanted):
            WithdrawRole(account=self.account, role=check_role(role), pattern=pattern).apply(db)
        for role, pattern in sorted(wanted - held):
            GrantRole(account=self.account, role=role, pattern=pattern).apply(db)
