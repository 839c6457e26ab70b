/*
 * OpenIddict 5 - 6 with Entity Framework and Npgsql: tokens.
 *
 * Names are mixed-case and must be quoted; times are timestamptz, nullable. OpenIddict prunes tokens with "CreationDate <
 * threshold (14 days ago) and (Status is neither inactive nor valid, or the authorization is not valid, or
 * ExpirationDate < now)". ExpirationDate null: never. Statuses: inactive, valid, redeemed, rejected, revoked; a change of
 * the status leaves no time, so the age of a token that is not valid any more counts from its creation. That the
 * authorization is not valid any more is written in another table; revoking it normally revokes its tokens as well.
 *
 * Sources: https://github.com/openiddict/openiddict-core/blob/01531930decae8884d829398d0c2c285bf23fccd/
 *            src/OpenIddict.EntityFrameworkCore/Stores/OpenIddictEntityFrameworkCoreTokenStore.cs (PruneAsync)
 *          https://github.com/openiddict/openiddict-core/blob/0cd3f48bb9c1c0024d9212ad4b61c0f99186a13f/
 *            src/OpenIddict.EntityFrameworkCore/Configurations/OpenIddictEntityFrameworkCoreTokenConfiguration.cs
 *          the schema as Npgsql creates it after the migrations of several applications (foreign keys without a cascade)
 */
import type { RealSystem } from "./system.ts";

export const openIddict: RealSystem = {
  name: "OpenIddict",
  version: "5",
  ddl: `
create table "OpenIddictApplications" (
  "Id" text not null,
  "ClientId" varchar(100),
  constraint "PK_OpenIddictApplications" primary key ("Id")
);
create table "OpenIddictAuthorizations" (
  "Id" text not null,
  "ApplicationId" text,
  "ConcurrencyToken" varchar(50),
  "CreationDate" timestamp with time zone,
  "Properties" text,
  "Scopes" text,
  "Status" varchar(50),
  "Subject" varchar(400),
  "Type" varchar(50),
  constraint "PK_OpenIddictAuthorizations" primary key ("Id"),
  constraint "FK_OpenIddictAuthorizations_OpenIddictApplications_Application~" foreign key ("ApplicationId")
    references "OpenIddictApplications" ("Id")
);
create table "OpenIddictTokens" (
  "Id" text not null,
  "ApplicationId" text,
  "AuthorizationId" text,
  "ConcurrencyToken" varchar(50),
  "CreationDate" timestamp with time zone,
  "ExpirationDate" timestamp with time zone,
  "Payload" text,
  "Properties" text,
  "RedemptionDate" timestamp with time zone,
  "ReferenceId" varchar(100),
  "Status" varchar(50),
  "Subject" varchar(400),
  "Type" varchar(50),
  constraint "PK_OpenIddictTokens" primary key ("Id"),
  constraint "FK_OpenIddictTokens_OpenIddictApplications_ApplicationId" foreign key ("ApplicationId")
    references "OpenIddictApplications" ("Id"),
  constraint "FK_OpenIddictTokens_OpenIddictAuthorizations_AuthorizationId" foreign key ("AuthorizationId")
    references "OpenIddictAuthorizations" ("Id")
);
create index "IX_OpenIddictTokens_ApplicationId_Status_Subject_Type"
  on "OpenIddictTokens" ("ApplicationId", "Status", "Subject", "Type");
create index "IX_OpenIddictTokens_AuthorizationId" on "OpenIddictTokens" ("AuthorizationId");
create unique index "IX_OpenIddictTokens_ReferenceId" on "OpenIddictTokens" ("ReferenceId");`,
  config: `targets:
  - preset: openiddict
`,
  rows: `
insert into "OpenIddictApplications" select 'app-' || i, 'client-' || i from generate_series(0, 2) i;
insert into "OpenIddictAuthorizations" ("Id", "ApplicationId", "CreationDate", "Status", "Subject", "Type")
select 'authorization-' || i, 'app-' || i % 3, now() - interval '60 days', 'valid', 'subject-' || i, 'permanent'
from generate_series(0, 6) i;
-- 1-16 expired long ago, 17-19 not long enough ago, 20-25 redeemed, rejected or revoked and old, 26-31 the same but young,
-- 32-50 valid, 51-56 valid or inactive without an expiry, 57-60 without any time
insert into "OpenIddictTokens" ("Id", "ApplicationId", "AuthorizationId", "CreationDate", "ExpirationDate",
  "RedemptionDate", "ReferenceId", "Status", "Subject", "Type")
select 'token-' || i, 'app-' || i % 3, case when i % 4 > 0 then 'authorization-' || i % 7 end,
  case when i < 57 then now() - case
    when i <= 19 then interval '28 days 1 hour' + i * interval '90 minutes'
    when i <= 25 then interval '14 days 2 hours' + i * interval '90 minutes'
    else interval '13 days 22 hours' + i * interval '1 minute' end end,
  case
    when i <= 16 then now() - interval '14 days 1 hour' - i * interval '90 minutes'
    when i <= 19 then now() - interval '13 days 22 hours' - i * interval '1 minute'
    when i <= 50 then now() + i * interval '10 minutes' end,
  case when i between 20 and 31 and i % 3 = 0 then now() - interval '1 minute' end,
  case when i % 2 = 0 then md5('reference ' || i) end,
  case when i between 20 and 31 then (array['redeemed', 'rejected', 'revoked'])[i % 3 + 1]
    when i > 53 then 'inactive' else 'valid' end,
  'subject-' || i % 7, case when i % 2 = 0 then 'refresh_token' else 'access_token' end
from generate_series(1, 60) i;`,
  tables: {
    'public."OpenIddictTokens"': {
      dead: `("ExpirationDate" < now() or "Status" not in ('inactive', 'valid'))`,
      due: `("CreationDate" < now() - interval '14 days'
        and ("Status" not in ('inactive', 'valid') or "ExpirationDate" < now() - interval '14 days'))`,
    },
  },
};
